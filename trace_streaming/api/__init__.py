"""The HTTP doors: traces, their events, server-sent events and ingest, under ``api/``."""
