"""One connection and its one watcher: a WebSocket's commands and transport, and server-sent events.

``trace_streaming.consumers`` and the API's stream call it. Reading the log, and judging who may, are not its business.
"""
