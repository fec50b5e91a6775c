"""One WebSocket and its one watcher: what ``trace_streaming.consumers`` is made of.

Nobody else calls it. Reading the log and judging who may are not its business.
"""
