"""Events read page by page, as lines, and exported: what is stored, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import OperationalError
from django.test import AsyncClient, Client

from trace_streaming import TraceEmitter
from trace_streaming.events import EncodedEvent
from trace_streaming.exporting import pages
from trace_streaming.models import Event, Trace
from trace_streaming.storage import event_rows, store

pytestmark = pytest.mark.django_db(transaction=True)


def emit(count: int, trace_id: str = "t") -> list[EncodedEvent]:
    emitter = TraceEmitter(trace_id)
    for number in range(count):
        emitter.emit("plan_created", {"n": number, "text": "é\u2028\n"}, "success" if number % 2 else "error")
    assert emitter.flush(60)
    return stored(trace_id)


def stored(trace_id: str) -> list[EncodedEvent]:
    head = store.read_heads([trace_id])[trace_id]
    events: list[EncodedEvent] = []
    while page := store.read_page(head.pk, events[-1].sequence if events else 0):
        events += page
    return events


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_a_page_is_the_stored_text(client: Client) -> None:
    """Nothing is parsed and written again."""
    events = emit(3)
    response = client.get("/api/traces/t/events/")
    assert response["Content-Type"] == "application/json"
    assert ",".join(event.text for event in events).encode() in response.content
    page = response.json()
    assert (page["trace_id"], page["last_sequence"], page["next"], len(page["events"])) == ("t", 3, None, 3)
    assert page["epoch"] == Trace.objects.get().epoch


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
def test_pages_follow_each_other(client: Client, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Wherever the pages of the store end."""
    emit(10)
    monkeypatch.setattr(event_rows, "PAGE_EVENTS", 4)
    for query, expected in (("", list(range(1, 11))), ("&status=success", [2, 4, 6, 8, 10])):
        seen: list[int] = []
        since: int | None = 0
        while since is not None:
            page = client.get(f"/api/traces/t/events?limit={limit}&since={since}{query}").json()
            assert len(page["events"]) <= limit
            seen += [event["sequence"] for event in page["events"]]
            since = page["next"]
        assert seen == expected


def test_a_filter_that_matches_nothing_reads_a_bounded_part(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says where to go on."""
    emit(10)
    monkeypatch.setattr(event_rows, "PAGE_EVENTS", 2)
    monkeypatch.setattr(pages, "MAX_PAGES", 3)
    page = client.get("/api/traces/t/events?status=warning").json()
    assert (page["events"], page["next"]) == ([], 6)
    assert client.get("/api/traces/t/events?status=warning&since=6").json()["next"] is None


def test_what_was_pruned_is_no_endless_loop(client: Client) -> None:
    """Where the last events are gone, there is no next page."""
    emit(4)
    Event.objects.filter(sequence__gt=2).delete()
    page = client.get("/api/traces/t/events").json()
    assert ([event["sequence"] for event in page["events"]], page["next"]) == ([1, 2], None)
    assert client.get("/api/traces/t/events?since=99").json()["events"] == []


@pytest.mark.parametrize("how", [{"query": "format=jsonl"}, {"accept": "application/x-ndjson"}])
def test_json_lines(client: Client, monkeypatch: pytest.MonkeyPatch, how: dict[str, str]) -> None:
    """One event a line, with the same filter and limit."""
    events = emit(7)
    monkeypatch.setattr(event_rows, "PAGE_EVENTS", 2)

    def lines(query: str = "") -> list[bytes]:
        query = f"{query}&{how.get('query', '')}"
        response = client.get(f"/api/traces/t/events?{query}", headers={"accept": how.get("accept", "*/*")})
        assert response["Content-Type"] == "application/x-ndjson"
        return body(response).split(b"\n")[:-1]

    assert lines() == [event.text.encode() for event in events]
    assert [orjson.loads(line)["sequence"] for line in lines("since=2&limit=3")] == [3, 4, 5]
    assert [orjson.loads(line)["sequence"] for line in lines("status=success&limit=2")] == [2, 4]


async def test_json_lines_are_made_as_they_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under ASGI, too, one page of the store is read for each part that is taken."""
    events = await sync_to_async(emit)(6)
    monkeypatch.setattr(event_rows, "PAGE_EVENTS", 2)
    reads: list[int] = []
    read_page = store.read_page

    def counted(trace_pk: int, after: int) -> list[EncodedEvent]:
        reads.append(after)
        return read_page(trace_pk, after)

    monkeypatch.setattr(store, "read_page", counted)
    response: Any = await AsyncClient().get("/api/traces/t/events?format=jsonl")
    taken = []
    async for part in response.streaming_content:
        taken.append(part)
        assert len(reads) == len(taken)
    assert b"".join(taken) == b"".join(event.text.encode() + b"\n" for event in events)
    assert reads == [0, 2, 4]


@pytest.mark.parametrize(
    "query", ["since=-1", "limit=0", "limit=x", "limit=%C2%B2", "events=dance", "status=dead", "since=1&since=2"]
)
def test_a_bad_query_is_400(client: Client, query: str) -> None:
    """In JSON, whatever was asked for."""
    emit(1)
    for format_ in ("", "&format=jsonl"):
        response = client.get(f"/api/traces/t/events?{query}{format_}")
        assert (response.status_code, response["Content-Type"]) == (400, "application/json")


def test_a_trace_that_has_not_begun_is_404(client: Client) -> None:
    """Even where it may be watched."""
    for path in ("t", "t/events", "t/export"):
        assert client.get(f"/api/traces/{path}").status_code == 404


def test_a_format_that_there_is_not(client: Client) -> None:
    """404 by name, 406 by type; neither fails."""
    emit(1)
    assert client.get("/api/traces/t/export?format=xml").status_code == 404
    assert client.get("/api/traces/t/export", headers={"accept": "text/xml"}).status_code == 406


def test_a_head_request_reads_nothing(client: Client) -> None:
    """Of an export of any length."""
    emit(1)
    response = client.head("/api/traces/t/export")
    assert (response.status_code, response["Content-Disposition"]) == (200, 'attachment; filename="t.jsonl"')


def test_an_export_is_played_again_as_an_equal_trace(client: Client, recording: Path, tmp_path: Path) -> None:
    """All of a recorded agent's run, through the database, the export, and a second life."""
    call_command("play_trace", str(recording), "--trace-id=first", "--speed=0", verbosity=0)
    export = tmp_path / "first.jsonl"
    export.write_bytes(body(client.get("/api/traces/first/export/?format=jsonl")))
    call_command("play_trace", str(export), "--trace-id=second", "--speed=0", verbosity=0)

    def said(trace_id: str) -> list[tuple[Any, ...]]:
        events = Event.objects.filter(trace__trace_id=trace_id).order_by("sequence")
        return [(e.sequence, e.event, e.status, e.details, e.tool_name, e.duration_ms) for e in events]

    assert said("first") == said("second") != []
    first, second = (Trace.objects.get(trace_id=trace_id) for trace_id in ("first", "second"))
    assert (first.state, first.event_count, first.error_count) == (second.state, second.event_count, second.error_count)


def test_the_chrome_export_is_json_with_all_events(client: Client, recording: Path) -> None:
    """What Perfetto opens: an object with ``traceEvents``."""
    call_command("play_trace", str(recording), "--trace-id=t", "--speed=0", verbosity=0)
    response = client.get("/api/traces/t/export?format=chrome")
    assert response["Content-Disposition"] == 'attachment; filename="t.trace.json"'
    made = orjson.loads(body(response))
    assert made["otherData"] == {"trace_id": "t", "state": Trace.objects.get().state}
    sequences = {one["args"]["sequence"] for one in made["traceEvents"] if one["ph"] != "M"}
    paired = sum("start" in one["args"] for one in made["traceEvents"])
    assert len(sequences) == Event.objects.count() - paired


@pytest.mark.parametrize("path", ["traces/", "traces/t/", "traces/t/events/", "traces/t/export/"])
def test_while_the_database_is_away(client: Client, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """503, and when to come back; at the list, too."""
    emit(1)

    def away(*args: object, **kwargs: object) -> Any:
        raise OperationalError

    monkeypatch.setattr("trace_streaming.api.access.may_watch", away)
    monkeypatch.setattr("trace_streaming.api.pages.traces_to_watch", away)
    response = client.get(f"/api/{path}")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
