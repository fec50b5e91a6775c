"""OpenTelemetry's spans over HTTP, as traces: the door of OTLP, for agents in any language.

Off until a project includes ``trace_streaming.otlp.urls``; needs the extra ``otlp``.
"""
