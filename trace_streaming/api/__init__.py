"""The HTTP doors: traces, their events, server-sent events, ingest, approvals, signals and tickets, under ``api/``.

Called by requests alone. A door decides who may, with the project's permission classes, and leaves the work to others.
"""
