"""Spans of OpenTelemetry in the words of this app: which span is an agent's, and what its two events say.

Plain functions of a span: neither OpenTelemetry's packages nor Django are needed. The OTLP endpoint and the span
processor call them, so that both tell the same of the same span. `dialects` puts what each dialect says into the words
of OpenTelemetry's conventions for generative AI (https://github.com/open-telemetry/semantic-conventions-genai).
"""
