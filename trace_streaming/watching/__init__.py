"""News and cursors: the publisher tells a hub in each process, the hub its subscriptions, each at its own place.

The recorder publishes; sockets and event streams subscribe. Live delivery makes no query.
"""
