"""Frameworks' agents as traces: one adapter each, by the hooks that the framework offers to all.

Handed to a framework by users' code, in Django or beside it. Guests: they never raise, end only what they began, and
change nothing of what the framework does.
"""
