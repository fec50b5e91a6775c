"""OTLP on real servers: bodies without a length, and exporters of other languages."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from tests.live.conftest import StartSite
from tests.live.servers import ROOT, Server
from tests.live.services import Postgres
from tests.live.sites import read_log
from tests.live.test_api import writer
from tests.live.watching import all_have, watching
from tests.otlp.conftest import nodes
from tests.otlp.spans import JSON, PROTOBUF, TRACE, agent, encoded, tool
from tests.otlp.spans import http as http_request
from trace_streaming.events.spans import Spans

NODE = ROOT / ".venv" / "node" / "node_modules"
PIECE = 1000


def post(server: Server, path: str, body: bytes, kind: str, authorization: str) -> int:
    """In chunks, without a length, as Node sends it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    pieces: Iterator[bytes] = (body[start : start + PIECE] for start in range(0, len(body), PIECE))
    headers = {"Authorization": authorization, "Content-Type": kind, "Transfer-Encoding": "chunked"}
    try:
        connection.request("POST", path, pieces, headers, encode_chunked=True)
        with connection.getresponse() as response:
            response.read()
            return response.status
    finally:
        connection.close()


async def test_bodies_without_a_length_are_read(server: Server, trace_id: str) -> None:
    """At every door that takes one; Django takes them for empty."""
    authorization = await asyncio.to_thread(writer, server, f"writer-{trace_id}"[:30])
    spans = [agent(1), *(tool(n, parent=1) for n in range(2, 40))]
    resource = (("trace_streaming.trace_id", trace_id),)
    told = [replace(span, resource=resource) for span in spans]
    event = orjson.dumps({"event": "plan_created", "details": {"filling": "x" * 5000}})
    doors: list[tuple[str, bytes, str]] = [
        ("/v1/traces", encoded(told[:20], PROTOBUF), PROTOBUF),
        ("/v1/traces", encoded(told[20:], JSON), JSON),
        (f"/api/traces/{trace_id}/events", event, JSON),
        (f"/api/traces/{trace_id}/end", b'{"state": "error"}', JSON),
        ("/api/beat", b'{"sender": "s1"}', JSON),
    ]
    for path, body, kind in doors:
        assert await asyncio.to_thread(post, server, path, body, kind, authorization) == 200, path
    stored = [details for _, details in read_log(server.env["DATABASE_URL"], trace_id)]
    assert len([details for details in stored if "call_id" in details]) == 2 * len(spans)
    assert stored[-1]["filling"] == "x" * 5000


@pytest.mark.thorough
@pytest.mark.takes(seconds=30)
async def test_the_database_goes_away_and_comes_back(start_site: StartSite, postgres: Postgres) -> None:
    """A sender that repeats what is answered 429 or 503, as exporters do, loses nothing, and stores nothing twice."""
    site = start_site("pubsub")
    authorization = await asyncio.to_thread(writer, site.servers[0], "writer-to-a-database-that-goes-away")
    run = [agent(1, end=900), *(tool(n, parent=1, start=n, end=n + 1) for n in range(2, 62))]
    run = [*run, *(http_request(100 + n, 1, start=500, end=501) for n in range(20))]
    random = Random(7)
    random.shuffle(run)
    batches = [run[start : start + 4] for start in range(0, len(run), 4)]
    away: list[int] = []

    def send() -> None:
        for number, batch in enumerate([*batches, *random.sample(batches, len(batches))]):
            if number in {5, 30}:
                postgres.stop()
            server = site.servers[number % len(site.servers)]
            while (status := post(server, "/v1/traces", encoded(batch), PROTOBUF, authorization)) != 200:
                assert status in {429, 503}, status
                away.append(status)
                postgres.start()

    await asyncio.to_thread(send)
    assert len(away) >= 2
    log = await asyncio.to_thread(read_log, postgres.url, TRACE)
    assert [sequence for sequence, _ in log] == list(range(1, 2 * 61 + 1))
    assert len({(details["call_id"], "duration_ms" in details) for _, details in log}) == 2 * 61


@pytest.mark.takes(seconds=15)
@pytest.mark.parametrize("layer", ["pubsub", "none"])
async def test_spans_and_events_come_into_one_trace_at_the_same_time(
    start_site: StartSite, layer: str, trace_id: str
) -> None:
    """Each process stores them by two threads; watchers get each once, in one order."""
    site = start_site(layer)
    authorization = await asyncio.to_thread(writer, site.servers[0], "writer-of-spans-and-events")
    spans = [replace(tool(n), resource=(("trace_streaming.trace_id", trace_id),)) for n in range(1, 201)]
    events = orjson.dumps({"events": [{"event": "plan_created"}] * 10})

    def send(number: int, server: Server) -> None:
        for first in range(number * 100, number * 100 + 100, 20):
            body = encoded(spans[first : first + 20], PROTOBUF)
            assert post(server, "/v1/traces", body, PROTOBUF, authorization) == 200

    def emit(server: Server) -> None:
        for _ in range(5):
            assert post(server, f"/api/traces/{trace_id}/events", events, JSON, authorization) == 200

    async with watching(*site.watchers(trace_id)) as watchers:
        async with asyncio.TaskGroup() as group:
            for number, server in enumerate(site.servers):
                group.create_task(asyncio.to_thread(send, number, server))
                group.create_task(asyncio.to_thread(emit, server))
        await all_have(watchers, 500)
    for watcher in watchers:
        assert [event["sequence"] for event in watcher.received] == list(range(1, 501))
        assert watcher.other_frames == []


def example() -> str:
    """The class in the documentation that tells of starts."""
    (code,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "opentelemetry.md").read_text(), re.DOTALL)
    return str(code)


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["http", "proto", "http and live"])
async def test_the_vercel_ai_sdk_in_node(server: Server, tmp_path: Path, how: str) -> None:
    """Its own telemetry and OpenTelemetry's exporters; the documentation's starts by REST meet the ends."""
    node = shutil.which("node")
    if node is None or not NODE.exists():
        pytest.skip("No node, or make .venv/node/made has installed nothing")
    script = NODE.parent / "vercel_agent.mjs"
    shutil.copy(ROOT / "tests" / "live" / "node" / script.name, script)
    module = tmp_path / "live_spans.mjs"
    module.write_text(example())
    authorization = await asyncio.to_thread(writer, server, f"writer-{how}"[:30].replace(" ", "-"))
    url, encoding = f"http://127.0.0.1:{server.port}", how.split(maxsplit=1)[0]
    live = [str(module)] if "live" in how else []
    process = await asyncio.create_subprocess_exec(
        *(node, str(script), url, authorization, encoding, *live), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode == 0
    (trace_id,) = said.decode().split()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"/api/traces/{trace_id}/events?limit=1000", headers={"Authorization": authorization})
    events: list[dict[str, Any]] = json.load(connection.getresponse())["events"]
    connection.close()
    ((kind, name, outcome, inside),) = nodes(Spans(events).roots())
    assert (kind, name, outcome) == ("agent", "solo", "ok")
    assert sorted(inside) == [
        ("llm", "fake-1", "ok", []),
        ("llm", "fake-1", "ok", []),
        ("tool", "broken", "error", []),
        ("tool", "lookup", "ok", []),
    ]
    assert len(events) == 10
    ends = {
        event["tool_name"]: event["details"]
        for event in events
        if "tool_call" in event["event"] and event["status"] != "pending"
    }
    assert (ends["lookup"]["args"], ends["lookup"]["result"]) == ({"key": "a"}, "value of a")
    assert ends["broken"]["error"] == "no such row 3"
    first, last = sorted(
        (event["details"] for event in events if event["event"] == "llm_call_complete"),
        key=lambda details: len(details["gen_ai.input.messages"]),
    )
    assert first["gen_ai.output.messages"][0]["parts"][0]["arguments"] == {"key": "a"}
    assert last["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "It is delta."}]}
    ]
    assert (last["gen_ai.usage.input_tokens"], last["gen_ai.usage.output_tokens"]) == (11, 7)
    assert {event["event"] for event in events if event["status"] == "pending"} == (
        {"step_start"} if live else {"agent_start", "llm_call_start", "tool_call_start"}
    )
