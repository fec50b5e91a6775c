"""Spans over OTLP: ``spans send SPANS URL,URL… TOKEN`` sends them in protobuf; ``spans decode SPANS`` only reads them.

A request has 500: ten runs of an agent with its models, tools and requests over HTTP, each run in a trace of its own.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, repeat
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

RUNS: Final = 10
SPANS: Final = 50
"""Of a run."""
SENDERS: Final = 4
MODEL: Final = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.response.model": "gpt-5-2026",
    "gen_ai.usage.input_tokens": 1204,
    "gen_ai.usage.output_tokens": 88,
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"When is high tide?"}]}]',
    "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"At ten past nine."}]}]',
}
TOOL: Final = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "search",
    "gen_ai.tool.call.id": "call_1",
    "gen_ai.tool.call.arguments": '{"query": "tides", "limit": 10}',
    "gen_ai.tool.call.result": "09:10 and 21:35",
}
HTTP: Final = {
    "http.request.method": "POST",
    "url.full": "https://example.com/v1/chat",
    "http.response.status_code": 200,
}
AGENT: Final = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "pilot"}


def bodies(spans: int) -> list[bytes]:
    """Requests with this many spans together."""
    ids = count(time.time_ns())
    return [_body(ids) for _ in range(max(spans // (RUNS * SPANS), 1))]


def _body(ids: Iterator[int]) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(_attributes({"service.name": "bench"}))
    spans = group.scope_spans.add().spans
    for _ in range(RUNS):
        trace, root, now = next(ids).to_bytes(16), next(ids).to_bytes(8), time.time_ns()
        for number in range(SPANS):
            said = AGENT if number == SPANS - 1 else (MODEL, TOOL, HTTP)[number % 3]
            is_root = said is AGENT
            spans.add(
                trace_id=trace,
                span_id=root if is_root else next(ids).to_bytes(8),
                parent_span_id=b"" if is_root else root,
                name=str(said.get("gen_ai.operation.name", "POST")),
                start_time_unix_nano=now + number * 1000,
                end_time_unix_nano=now + number * 1000 + 500_000,
                attributes=_attributes(said),
            )
    body: bytes = request.SerializeToString()
    return body


def _attributes(said: Any) -> list[Any]:
    return [
        KeyValue(key=key, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value))
        for key, value in said.items()
    ]


def send(spans: int, urls: str, token: str) -> dict[str, float]:
    """By some senders at the same time, each to one of the servers; spans per second until all are answered."""
    told, hosts = bodies(spans), [urlsplit(url).netloc for url in urls.split(",")]
    parts = [(told[index::SENDERS], hosts[index % len(hosts)]) for index in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        return _per_second(len(told), lambda: list(pool.map(_send, *zip(*parts, strict=True), repeat(token))))


def _send(told: Sequence[bytes], host: str, token: str) -> None:
    connection = http.client.HTTPConnection(host, timeout=120)
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/x-protobuf"}
    for body in told:
        connection.request("POST", "/v1/traces", body, headers)
        with connection.getresponse() as response:
            answer = response.read()
            if response.status != 200 or answer:
                raise RuntimeError(f"{response.status} {answer[:200]!r}")
    connection.close()


def decode(spans: int) -> dict[str, float]:
    """What protobuf alone takes."""
    told, used = bodies(spans), time.process_time()
    values = _per_second(len(told), lambda: [ExportTraceServiceRequest.FromString(body) for body in told])
    return {**values, "per_cpu_second": len(told) * RUNS * SPANS / (time.process_time() - used)}


def _per_second(requests: int, work: Callable[[], object]) -> dict[str, float]:
    started = time.perf_counter()
    work()
    return {"per_second": requests * RUNS * SPANS / (time.perf_counter() - started)}


if __name__ == "__main__":
    what, spans, *rest = sys.argv[1:]
    print(json.dumps(send(int(spans), *rest) if what == "send" else decode(int(spans))))
