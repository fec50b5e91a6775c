"""What real instrumentations say of real runs, sent by OpenTelemetry's own exporter, or told live by the processor."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.frameworks.conftest import let_in, stored_of
from tests.frameworks.expected import EXPECTED
from tests.frameworks.otel_process import exporting
from tests.frameworks.scenarios import pydantic_ai
from tests.frameworks.trees import Node, parsed, shown, tree, unordered
from trace_streaming.integrations.opentelemetry import TraceSpanProcessor
from trace_streaming.models import Trace
from trace_streaming.otlp.endings import end_silent
from trace_streaming.recording.recorder import recorder

pytestmark = pytest.mark.django_db(transaction=True)

NOT_TOLD = {
    "cancelled": "agent solo ok|  llm fake-1 ok|  tool forever cancelled",
    "human_deferred": "agent solo ok|  llm fake-1 ok|agent solo ok|  tool send_mail ok|  llm fake-1 ok",
}
"""Trees that the spans do not tell as the adapter does: that a run was cancelled, or waits for a human."""
TOLD_LIVE = frozenset({"cancelled"})
"""Of these, what the processor sees for itself."""


class Roots(SpanProcessor):
    """Ids of the traces, in the order in which they begin."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        assert context is not None
        trace_id = trace.format_trace_id(context.trace_id)
        if trace_id not in self.ids:
            self.ids.append(trace_id)


class Told:
    """A provider whose spans come to the test's project."""

    def __init__(self, how: str, url: str) -> None:
        self.is_live = how == "live"
        self.provider = TracerProvider(resource=Resource.create({"service.name": "my-agent"}))
        self.roots = Roots()
        self.provider.add_span_processor(self.roots)
        self.provider.add_span_processor(TraceSpanProcessor() if how == "live" else exporting(how, url))

    def events(self) -> list[dict[str, Any]]:
        """All that is stored, of all of its traces."""
        self.provider.force_flush()
        assert recorder.flush(60)
        return [event for trace_id in self.roots.ids for event in stored_of(trace_id)]


@pytest.fixture
def url(live_server: LiveServer, settings: Settings) -> Iterator[str]:
    """Of the project, which knows who sends."""
    settings.ALLOWED_HOSTS = ["localhost"]
    let_in(settings)
    yield str(live_server.url)
    recorder.close()


@pytest.fixture(params=["simple", "batch gzip", "live"])
def told(request: pytest.FixtureRequest, url: str) -> Iterator[Told]:
    made = Told(request.param, url)
    yield made
    made.provider.shutdown()


@pytest.mark.parametrize("name", EXPECTED["pydantic_ai"])
def test_pydantic_ai(told: Told, name: str) -> None:
    """Its own instrumentation gives the tree of the adapter, wherever its spans tell as much."""
    Agent.instrument_all(InstrumentationSettings(tracer_provider=told.provider))
    try:
        asyncio.run(pydantic_ai.SCENARIOS[name.rstrip("*")](None))
    finally:
        Agent.instrument_all(False)
    order = unordered if name.endswith("*") else list
    found = order(tree(told.events()))
    not_told = {} if told.is_live and name in TOLD_LIVE else NOT_TOLD
    assert found == order(parsed(not_told.get(name, EXPECTED["pydantic_ai"][name]))), shown(found)
    calls = [event["details"] for event in told.events() if event["event"] == "llm_call_complete"]
    assert all(call["gen_ai.usage.input_tokens"] and call["gen_ai.usage.output_tokens"] for call in calls)
    assert all(call["gen_ai.output.messages"][0]["parts"] for call in calls)


LOOP: list[Node] = parsed(
    "agent solo ok|  llm fake-1 ok|  tool lookup ok|  llm fake-1 ok|  llm fake-1 ok|  llm fake-1 error"
)


def run_elsewhere(library: str, framework: str, how: str, url: str) -> dict[str, list[str]]:
    """In a process of its own: these libraries change what they look at for good. Ids of traces, by scenario."""
    command = [sys.executable, "-m", "tests.frameworks.otel_process", library, framework, how, url]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    told: dict[str, list[str]] = json.loads(ran.stdout)
    return told


@pytest.mark.parametrize("how", ["simple", "batch gzip", "elsewhere"])
@pytest.mark.parametrize("library", ["OpenTelemetry", "OpenLLMetry", "OpenInference"])
def test_openai(url: str, library: str, how: str) -> None:
    """Each model's row has its model, both counts of tokens and its messages; a 429 is an error with its text."""
    (trace_id,) = run_elsewhere(library, "openai", how, url)["loop"]
    events = stored_of(trace_id)
    found = tree(events)
    assert found == LOOP, shown(found)
    trace_row = Trace.objects.get()
    assert (trace_row.model_calls, trace_row.input_tokens, trace_row.output_tokens) == (4, 33, 21)
    assert (trace_row.name, trace_row.conversation) == ("solo", "c-1")
    whole: dict[str, dict[str, Any]] = {}
    for event in events:
        whole.setdefault(event["details"]["call_id"], {}).update(event["details"])
    calls = [details for details in whole.values() if "gen_ai.request.model" in details]
    assert [call["gen_ai.request.model"] for call in calls] == ["fake-1"] * 4
    assert calls[0]["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "what is a?"}], **_name(calls[0])}
    ]
    (answer,) = calls[0]["gen_ai.output.messages"]
    (part,) = answer["parts"]
    assert (part["type"], part["name"], part["arguments"]) == ("tool_call", "lookup", {"key": "a"})
    assert calls[1]["gen_ai.output.messages"][0]["parts"] == [{"type": "text", "content": "It is delta."}]
    assert "429" in calls[3]["error"]
    assert "slow down" in calls[3]["error"]
    (tool,) = [details for details in whole.values() if details.get("tool") == "lookup"]
    assert (tool["args"], tool["result"]) == ({"key": "a"}, "value of a")


def _name(call: dict[str, Any]) -> dict[str, Any]:
    """OpenTelemetry's own instrumentation says that nobody has a name."""
    return {"name": None} if "name" in call["gen_ai.input.messages"][0] else {}


@pytest.mark.parametrize("how", ["batch gzip", "elsewhere"])
@pytest.mark.parametrize("library", ["OpenLLMetry", "OpenInference", "LangSmith"])
def test_langchain(url: str, library: str, how: str) -> None:
    """Chains and nodes are steps, or agents; models and tools are those of the adapter, in the same order."""
    traces = run_elsewhere(library, "langchain", how, url)
    for name, ids in traces.items():
        events = [event for trace_id in ids for event in stored_of(trace_id)]
        found = without(tree(events), {"step", "agent"})
        assert found == without(parsed(EXPECTED["langgraph"][name]), {"step", "agent"}), shown(tree(events))
        calls = [event["details"] for event in events if event["event"] == "llm_call_complete"]
        assert {call["name"] for call in calls} == {"fake-1"}
        assert {(call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) for call in calls} == {(11, 7)}
        assert all(call["gen_ai.output.messages"][0]["parts"] for call in calls)
    assert len(traces) == 3


def without(nodes: list[Node], kinds: set[str]) -> list[Node]:
    """The tree of those that are of other kinds."""
    kept: list[Node] = []
    for kind, name, outcome, below in nodes:
        inner = without(below, kinds)
        kept += inner if kind in kinds else [(kind, name, outcome, inner)]
    return kept


def test_mcp(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that is called over MCP, by the client and in the server."""
    from mcp.client import Client
    from mcp.server import MCPServer
    from mcp.shared import _otel

    monkeypatch.setattr(_otel, "_tracer", told.provider.get_tracer("mcp-python-sdk"))
    server = MCPServer("sums")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    async def call() -> None:
        async with Client(server) as client:
            await client.call_tool("add", {"a": 1, "b": 2})

    with told.provider.get_tracer("my.agent").start_as_current_span("invoke_agent solo"):
        asyncio.run(call())
    tools = without(tree(told.events()), {"step", "agent"})
    assert tools == [("tool", "add", "ok", [])], shown(tree(told.events()))


def test_the_trace_ends_with_its_run(told: Told) -> None:
    """Live at once; of what was sent, when nothing more comes."""
    Agent.instrument_all(InstrumentationSettings(tracer_provider=told.provider))
    try:
        asyncio.run(pydantic_ai.SCENARIOS["tool_error"](None))
    finally:
        Agent.instrument_all(False)
    assert told.events()
    end_silent(0)
    assert recorder.flush(60)
    assert Trace.objects.get().state == "error"
