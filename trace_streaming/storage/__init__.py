"""The numbered log in the database: how it grows, how it is read, and what is deleted in time.

The recorder appends, cursors and exports read. It is synchronous, knows no channel layer, and publishes nothing.
"""
