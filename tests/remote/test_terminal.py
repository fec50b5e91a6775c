"""What is written to a terminal, and how its commands end."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from pytest_django.live_server_helper import LiveServer
from rich.console import Console

from tests.remote.ingest_servers import ScriptedServer, page_server
from trace_streaming import TraceEmitter
from trace_streaming.models import Event, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.remote.sender import all_senders
from trace_streaming.remote.terminal import MAX_REMEMBERED, Nesting, OpenSpans, event_line, printable_json, rendered

EVENT = {
    "event": "tool_call_complete",
    "timestamp": "2026-01-01T12:00:00.500000+00:00",
    "status": "success",
    "sequence": 3,
    "tool_name": "sea\x1b[2Jrch",
    "details": {"tool": "search", "duration_ms": 12.5, "result": "\x9b31m"},
}


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    all_senders.close()
    recorder.close()


def tail(*arguments: str) -> tuple[Any, str, str]:
    """Exit code, and what is written."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("tail_trace", *arguments, stdout=out, stderr=err)
    return left.value.code, out.getvalue(), err.getvalue()


def emitted(state: str) -> TraceEmitter:
    emitter = TraceEmitter("t")
    emitter.emit("plan_created", {"steps": 2}, "success")
    emitter.emit("tool_call_start", {"tool": "search"})
    emitter.end(state)
    assert emitter.flush(60)
    return emitter


def test_a_line_says_what_matters_and_obeys_nothing() -> None:
    """An event may hold whatever a terminal would take for a command."""
    line = rendered(event_line(EVENT), Console(file=io.StringIO(), force_terminal=True, width=200))
    assert "\x1b[2J" not in line
    assert "\x9b" not in line
    plain = rendered(event_line(EVENT), Console(file=io.StringIO(), width=20))
    words = ["3", "success", "tool_call_complete", "sea\ufffd[2Jrch", "12", "ms", "result:", "\ufffd31m"]
    assert plain.split()[1:] == words
    assert plain.count("\n") == 1


def test_details_are_read_as_text() -> None:
    """Texts as they are, on one line; of a model's messages what the last says; all else as JSON."""
    parts = [{"type": "text", "content": "It is\n fine."}, {"type": "tool_call", "name": "search"}]
    told = {"gen_ai.output.messages": [{"role": "assistant", "parts": parts}], "steps": [1, 2], "why": 'say "hi"'}
    line = event_line({**EVENT, "event": "llm_call_complete", "tool_name": None, "details": told}).plain
    assert line.endswith('gen_ai.output.messages: It is fine.  steps: [1,2]  why: say "hi"')


def test_lines_are_indented_by_what_they_are_inside_of() -> None:
    """As far as that has come; a line that is written stays where it is."""
    nesting = Nesting()

    def line(name: str, /, **details: Any) -> str:
        event = {**EVENT, "event": name, "tool_name": None, "details": details}
        return event_line(event, nesting.depth(event)).plain[28:]

    assert line("agent_start", call_id="a", name="solo").startswith("agent_start")
    assert line("llm_call_start", call_id="m", parent_call_id="a", name="gpt-5").split() == ["llm_call_start", "gpt-5"]
    assert line("llm_call_complete", call_id="m").startswith("  llm_call_complete")
    assert line("route_decision", parent_call_id="m").startswith("    route_decision")
    assert line("tool_call_start", call_id="t", parent_call_id="later").startswith("tool_call_start")
    assert line("agent_complete", call_id="a").startswith("agent_complete")


def test_what_is_remembered_of_a_trace_is_bounded() -> None:
    """A trace of days is followed in the memory of an hour."""
    nesting = Nesting()
    for number in range(MAX_REMEMBERED + 100):
        nesting.depth({"event": "agent_start", "details": {"call_id": number}})
    assert len(nesting._depths) == MAX_REMEMBERED


def test_what_has_begun_and_not_ended_is_known() -> None:
    """Whichever of the two came first, by id or by name; what is no span is neither."""
    spans = OpenSpans()
    for name, details in (
        ("agent_start", {"call_id": "a", "name": "planner"}),
        ("tool_call_complete", {"call_id": "early"}),
        ("tool_call_start", {"call_id": "early", "tool": "search"}),
        ("tool_call_start", {"tool": "mail"}),
        ("tool_call_start", {"tool": "mail"}),
        ("tool_call_complete", {"tool": "mail"}),
        ("tool_call_error", {"tool": "never begun"}),
        ("llm_call_start", {"call_id": "b"}),
        ("step_complete", {"call_id": "b"}),
        ("approval_requested", {"approval_id": "x"}),
        ("tool_call_start", {"call_id": 7}),
    ):
        spans.see({"event": name, "details": details})
    assert spans.names == ["planner", "mail", "tool"]
    for number in range(MAX_REMEMBERED + 100):
        spans.see({"event": "agent_start", "details": {"call_id": f"c-{number}"}})
        spans.see({"event": "agent_complete", "details": {"call_id": f"d-{number}"}})
    assert len(spans.names) == MAX_REMEMBERED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("state", "code"), [("success", 0), ("error", 1), ("incomplete", 2)])
def test_a_trace_is_followed_to_its_end_and_the_exit_code_is_its_state(state: str, code: int) -> None:
    """So that a script can wait for a run."""
    emitted(state)
    exit_code, out, err = tail("t", "--since", "0", "--json")
    assert exit_code == code
    assert [orjson.loads(line)["sequence"] for line in out.splitlines()] == [1, 2]
    assert err == f"The trace has ended: {state}\nUnfinished: search\n"


@pytest.mark.django_db(transaction=True)
def test_filters_and_a_place_to_begin() -> None:
    """As a socket has them."""
    emitted("success")
    assert "plan_created" in tail("t", "--since", "0", "--events", "plan_created")[1]
    assert "tool_call_start" not in tail("t", "--since", "0", "--status", "success")[1]
    assert [line.split()[1] for line in tail("t", "--since", "1")[1].splitlines()] == ["2"]
    with pytest.raises(CommandError, match="dance") as failed:
        call_command("tail_trace", "t", "--events", "dance")
    assert failed.value.returncode == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("trace_id", "why"), [("a b", "Invalid trace id"), ("t", "answers 501")])
def test_a_server_that_does_not_let_in_ends_it(live_server: LiveServer, trace_id: str, why: str) -> None:
    """A trace id that is none, which no server is asked for; a server that has no streams."""
    with pytest.raises(CommandError, match=why) as failed:
        call_command("tail_trace", trace_id, "--url", live_server.url, "--token", "x")
    assert failed.value.returncode == 2


def test_another_site_is_told_from_one_that_streams() -> None:
    """Most sites have a page for every address."""
    with page_server() as url, pytest.raises(CommandError, match="another site is there") as failed:
        call_command("tail_trace", "t", "--url", url)
    assert failed.value.returncode == 2


@pytest.mark.django_db(transaction=True)
def test_an_export_is_played_again(tmp_path: Path) -> None:
    """Into an equal trace."""
    emitted("success")
    file = tmp_path / "t.jsonl"
    call_command("export_trace", "t", "--output", str(file))
    out = io.StringIO()
    call_command("export_trace", "t", stdout=out)
    assert out.getvalue() == file.read_text()
    call_command("export_trace", "t", output=str(tmp_path / "again.jsonl"))
    assert (tmp_path / "again.jsonl").read_text() == file.read_text()
    call_command("play_trace", str(file), "--trace-id", "again", "--speed", "0", stdout=io.StringIO())
    first, second = (
        [(event.event, event.details, event.status) for event in events.order_by("sequence")]
        for events in (Event.objects.filter(trace__trace_id=trace_id) for trace_id in ("t", "again"))
    )
    assert first == second != []
    chrome = io.StringIO()
    call_command("export_trace", "t", "--format", "chrome", stdout=chrome)
    assert orjson.loads(chrome.getvalue())["traceEvents"]
    with pytest.raises(CommandError, match="no trace"):
        call_command("export_trace", "other")
    with pytest.raises(CommandError, match="Cannot write"):
        call_command("export_trace", "t", "--output", str(tmp_path))


@pytest.mark.django_db(transaction=True)
def test_a_shell_script_emits_and_waits_until_it_is_stored() -> None:
    """And is told what is wrong."""
    details = ("--details", '{"n": 1}')
    call_command("emit_trace_event", "t", "plan_created", *details, "--status", "success", "--end", "error")
    assert Event.objects.get().details == '{"n":1}'
    assert Trace.objects.get().state == "error"
    without_id = (["", "plan_created"], ["", "plan_created", "--url", "http://127.0.0.1:9", "--token", "x"])
    for wrong in (["t", "dance"], ["a b", "plan_created"], *without_id, ["t", "plan_created", "--details", "[]"]):
        with pytest.raises(CommandError, match=r"dance|trace id|object"):
            call_command("emit_trace_event", *wrong)


def test_a_shell_script_emits_to_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the token of the environment, which no list of processes shows."""
    monkeypatch.setenv("TRACE_STREAMING_TOKEN", "secret")
    with ScriptedServer().serving() as server:
        call_command("emit_trace_event", "t", "plan_created", "--url", server.url, "--scheme", "Bearer")
        assert server.authorizations == ["Bearer secret"]
    with ScriptedServer((403, {}, {"detail": "No."})).serving() as server, pytest.raises(CommandError, match="refused"):
        call_command("emit_trace_event", "t", "plan_created", "--url", server.url)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_json_for_a_terminal_says_the_same_and_commands_nothing(encoding: str) -> None:
    """In the letters that it knows; what it would obey is escaped."""
    text = json.dumps({"a": "\u2028\x9b31m\x7f é 😀 \u202e"}, ensure_ascii=False)
    shown = printable_json(text, encoding)
    assert json.loads(shown) == json.loads(text)
    assert shown.encode(encoding).decode(encoding) == shown
    assert all(letter.isprintable() for letter in shown)
