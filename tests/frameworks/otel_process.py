"""Runs in a process of their own, as an instrumentation tells them, which changes what it looks at for good.

``python -m tests.frameworks.otel_process LIBRARY openai|langchain HOW URL`` prints the ids of the traces, by scenario.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

LANGCHAIN = ("sequential", "tool_error_handled", "subagent")


class Ids(SpanProcessor):
    """Of the traces that began, each once."""

    def __init__(self) -> None:
        self.all: dict[str, None] = {}

    def on_start(self, span: ReadableSpan, parent_context: Any = None) -> None:
        context = span.get_span_context()
        assert context is not None
        self.all[trace.format_trace_id(context.trace_id)] = None


def exporting(how: str, url: str) -> SpanProcessor:
    """OpenTelemetry's own: ``simple`` or ``batch``, with ``gzip`` or without."""
    compression = Compression.Gzip if "gzip" in how else Compression.NoCompression
    headers = {"Authorization": "Token writer"}
    exporter = OTLPSpanExporter(f"{url}/v1/traces", headers=headers, compression=compression)
    return SimpleSpanProcessor(exporter) if "simple" in how else BatchSpanProcessor(exporter)


def instrumentor(library: str, framework: str) -> Any:
    match library, framework:
        case "OpenTelemetry", _:
            from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as Official

            return Official()
        case "OpenLLMetry", "openai":
            from opentelemetry.instrumentation.openai import OpenAIInstrumentor as Traceloop

            return Traceloop()
        case "OpenLLMetry", _:
            from opentelemetry.instrumentation.langchain import LangchainInstrumentor

            return LangchainInstrumentor()
        case _, "openai":
            from openinference.instrumentation.openai import OpenAIInstrumentor

            return OpenAIInstrumentor()
    from openinference.instrumentation.langchain import LangChainInstrumentor

    return LangChainInstrumentor()


def scenarios(framework: str, provider: TracerProvider) -> dict[str, Callable[[], Any]]:
    if framework == "openai":
        from tests.frameworks.scenarios.openai_loop import loop

        return {"loop": partial(loop, provider.get_tracer("my.agent"))}
    from tests.frameworks.scenarios import langgraph

    return {name: partial(langgraph.SCENARIOS[name], []) for name in LANGCHAIN}


def main(library: str, framework: str, how: str, url: str) -> None:
    os.environ |= {
        "LANGSMITH_TRACING": "false",
        "LANGSMITH_ENDPOINT": "http://127.0.0.1:9",
        "TRACELOOP_TELEMETRY": "false",  # nothing may reach another host
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    }
    provider, ids = TracerProvider(), Ids()
    provider.add_span_processor(ids)
    if how == "elsewhere":
        from trace_streaming.integrations.opentelemetry import TraceSpanProcessor
        from trace_streaming.remote import RemoteTraceEmitter

        provider.add_span_processor(TraceSpanProcessor(new_emitter=partial(RemoteTraceEmitter, url, "writer")))
    else:
        provider.add_span_processor(exporting(how, url))
    if library == "LangSmith":  # its SDK is the instrumentation
        os.environ |= {f"LANGSMITH_{name}": "true" for name in ("TRACING", "OTEL_ENABLED", "OTEL_ONLY")}
        trace.set_tracer_provider(provider)
    else:
        instrumentor(library, framework).instrument(tracer_provider=provider)
    told: dict[str, list[str]] = {}
    for name, scenario in scenarios(framework, provider).items():
        ids.all.clear()
        result = scenario()
        if inspect.iscoroutine(result):
            asyncio.run(result)
        if library == "LangSmith":
            from langchain_core.tracers.langchain import wait_for_all_tracers

            wait_for_all_tracers()
        told[name] = list(ids.all)
    provider.shutdown()
    if how == "elsewhere":
        from trace_streaming.remote.emitter import close

        close()
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
