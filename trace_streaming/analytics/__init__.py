"""Golden signals of many stored traces: of a window of time, over time, and by tool.

The API, the dashboard and the admin call it. It reads the log, and keeps no book of its own.
"""
