"""What this app tells of itself: counted for Prometheus, and logged once per burst.

Every wing that does something calls it; it calls none. Nothing that a user has sent may be in it.
"""
