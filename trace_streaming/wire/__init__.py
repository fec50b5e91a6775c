"""What is said, in which words: requests, commands, frames of each profile, encoded once for all who watch.

Everything that speaks to a watcher calls it. Plain Python: no sockets, no loops, no database.
"""
