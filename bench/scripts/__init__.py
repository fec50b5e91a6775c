"""Measurements that need a process of their own: each prints its values as one line of JSON."""
