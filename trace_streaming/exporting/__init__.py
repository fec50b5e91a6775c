"""A trace on its way out: pages of its log as JSON, JSON lines, Perfetto's format and OTLP, streamed.

The API, the admin and the command ``export_trace`` call it. It holds a page at a time, or a
request of OTLP's, never a trace.
"""
