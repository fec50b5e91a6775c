"""``manage.py``: recordings played, mistakes named, and one suite for both ways to test."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings

from cuga_site.management.commands import demo
from cuga_site.recorded_run import RECORDING, RecordedRun, Wait, play_recorded_run
from cuga_site.test_runner import PytestRunner
from tests.live.services import free_port
from tests.recording.test_recorder import recorder_paused
from tests.stopping.test_stopping import until
from trace_streaming import TraceEmitter
from trace_streaming.approvals import decisions
from trace_streaming.events.spans import Spans
from trace_streaming.exceptions import StopRequestedError
from trace_streaming.models import Approval, Event, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.redaction import redact
from trace_streaming.stopping.requests import request_stop


def play(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("play_trace", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.django_db(transaction=True)
def test_a_recording_is_played_into_one_trace(recording: Path) -> None:
    """Every line becomes an event, redacted and in order, and the trace ends."""
    out, err = play(str(recording), "--trace-id", "t", "--speed", "0")
    recorded = [orjson.loads(line) for line in recording.read_bytes().splitlines()]
    events = Event.objects.order_by("sequence")
    assert [(e.event, e.status, orjson.loads(e.details)) for e in events] == [
        (e["event"], e["status"], redact(e["details"])) for e in recorded
    ]
    assert Trace.objects.get().state in ("success", "error")
    assert (out, err) == (f"t: {len(recorded)} events\n", "")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "command", [["tail_trace", "t"], ["emit_trace_event", "t", "plan_created"], ["play_trace", str(RECORDING)]], ids=str
)
def test_a_database_without_tables_is_told_at_once(command: list[str]) -> None:
    """The first ``migrate`` is easily forgotten; a database that is away would be waited for."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE trace_streaming_trace RENAME TO later")
    MigrationRecorder(connection).migration_qs.filter(app="trace_streaming").delete()
    with pytest.raises(CommandError, match=r"A migration is missing: run manage\.py migrate"):
        call_command(*command)


@pytest.mark.django_db(transaction=True)
def test_recorded_traces_keep_their_ids() -> None:
    """Without ``--trace-id`` a file with several traces is played as several."""
    play(str(demo.RECORDINGS / "cuga-orchestrator.jsonl"), "--speed", "0")
    assert Trace.objects.count() == 8
    assert Trace.objects.get(trace_id="A-enterprise").event_count == 11
    assert Trace.objects.get(trace_id="F-tool-error").state == "error"


@pytest.mark.django_db(transaction=True)
def test_a_terminal_obeys_nothing_that_a_bad_line_says(tmp_path: Path) -> None:
    """A recording may come from anybody."""
    path, errors = tmp_path / "trick.jsonl", io.StringIO()
    path.write_text('{"trace_id": "t", "event": "\\u001b]0;hidden\\u0007\\u001b[2J\\u202e"}\n')
    with pytest.raises(CommandError, match="1 bad line"):
        call_command("play_trace", str(path), stderr=errors)
    assert errors.getvalue().startswith(r"line 1: Non-canonical event: \x1b]0;hidden\x07\x1b[2J\u202e. Must be")


@pytest.mark.django_db(transaction=True)
def test_bad_lines_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Each with its number and what is wrong; the command fails, the good events are stored."""
    good = '{"event":"plan_created","trace_id":"t","details":{"n":1}}'
    lines = [good, "{", "", "[]", '{"event":"dance","trace_id":"t"}', '{"trace_id":"t"}', '{"event":"plan_created"}']
    lines += ['{"event":"plan_created","trace_id":"a b"}', '{"event":"plan_created","trace_id":"t","details":[]}']
    lines += ['{"event":"plan_created","trace_id":"t","timestamp":"noon"}', good]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    err = io.StringIO()
    with pytest.raises(CommandError, match=r"8 bad line\(s\)"):
        call_command("play_trace", str(tmp_path / "r.jsonl"), "--speed", "0", stdout=io.StringIO(), stderr=err)
    named = err.getvalue().splitlines()
    assert [line.split(":")[0] for line in named] == [f"line {n}" for n in (2, 4, 5, 6, 7, 8, 9, 10)]
    words = ["not JSON", "object", "dance", "event is missing", "trace_id is missing", "a b", "details", "noon"]
    assert all(word in line for word, line in zip(words, named, strict=True))
    assert Event.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_standard_input_is_a_recording_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` for pipes."""
    lines = io.BytesIO(b'{"event":"plan_created","trace_id":"t"}\n')
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=lines))
    assert play("-")[0] == "t: 1 events\n"


@pytest.mark.django_db(transaction=True)
def test_whoever_plays_what_finds_no_room_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace is there, and counts what is missing; the command fails."""
    settings.TRACE_STREAMING_QUEUE_SIZE = 10

    def lines() -> Iterator[bytes]:
        with recorder_paused():
            yield from [b'{"event":"plan_created","trace_id":"t"}\n'] * 40

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=lines()))
    with pytest.raises(CommandError, match=r"[0-9]+ event\(s\) were lost") as ended:
        play("-", "--speed", "0")
    assert Trace.objects.get(trace_id="t").lost_count == int(str(ended.value).split()[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.jsonl"], "Cannot read missing.jsonl: No such file"),
        (["x", "--trace-id", "a b"], "trace id"),
        (["x", "--speed", "-1"], "number of 0 or more"),
        (["x", "--speed", "fast"], "number of 0 or more"),
        (["x", "--speed", "inf"], "number of 0 or more"),
        (["x", "--speed", "nan"], "number of 0 or more"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], words: str) -> None:
    """What cannot be played is said in one line."""
    with pytest.raises(CommandError, match=words):
        play(*arguments)


@pytest.mark.django_db(transaction=True)
def test_the_demonstration_plays_fresh_runs_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each recording in turn, under a new trace id; old runs go."""
    monkeypatch.setattr(demo, "KEPT_TRACES", 9)
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return waited.count(demo.PAUSE_SECONDS) == 3

    demo.play_in_a_loop(wait)
    traces = Trace.objects.all()
    assert [trace.trace_id.startswith("swe-agent-ctf-katy-") for trace in traces[:1]] == [True]
    assert traces.count() == 9
    assert {trace.state for trace in traces} <= {"success", "error"}


@contextmanager
def recorded_run(wait: Wait = lambda _: False) -> Iterator[Approval]:
    """The demonstration's run, which ends with the block; what it asks."""
    run = threading.Thread(target=play_recorded_run, args=(wait,))
    run.start()
    while not (asked := Approval.objects.first()):
        assert run.is_alive()
        recorder.flush(1)
    yield asked
    run.join(60)
    assert not run.is_alive()
    assert recorder.flush(60)


def stored_events() -> list[dict[str, Any]]:
    return [orjson.loads(event.text) for event in Event.objects.order_by("sequence")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("answer", "told"), [("approved", "the team knows"), ("rejected", "nobody was told")])
def test_the_demonstration_shows_agents_models_and_a_decision(answer: str, told: str) -> None:
    """The run goes on with what was decided; of two agents at once each has its own calls below it."""
    with recorded_run() as asked:
        decisions.decide(asked, answer, user=None, channel="api")
    trace = Trace.objects.get()
    assert (trace.name, trace.state) == ("Mend the flaky checkout test", "success")
    assert (trace.model_calls, trace.tool_calls > 6, trace.cost is not None) == (10, True, True)
    events = stored_events()
    first, second = [span for span in Spans(events).roots() if span.kind == "agent"]
    assert (first.name, second.name) == ("orchestrator", "orchestrator")
    assert second.ended is not None
    assert told in second.ended["details"]["result"]
    below = [span for tool in first.children for span in tool.children if span.kind == "agent"]
    assert [span.name for span in below] == ["reader", "tester"]
    assert below[0].end is not None
    assert below[1].start < below[0].end
    (question,) = [event["details"] for event in events if event["event"] == "approval_requested"]
    assert question["parent_call_id"] == first.call_id
    sent = [event["details"] for event in events if event["details"].get("tool") == "send_mail"]
    assert bool(sent) is (answer == "approved")


@pytest.mark.django_db(transaction=True)
def test_the_demonstration_s_run_sends_the_mail_that_its_visitor_has_written() -> None:
    """It is what the tool is called with, and what the model is told that it was."""
    with recorded_run() as asked:
        edited = {**asked.arguments, "subject": "A subject of mine"}
        decisions.decide(asked, "edited", user=None, channel="api", edited=edited)
    events = stored_events()
    assert [event["details"].get("args") for event in events if event["details"].get("tool") == "send_mail"] == [
        edited,
        None,
    ]
    last = [event for event in events if event["event"] == "llm_call_start"][-1]
    assert "A subject of mine" in orjson.dumps(last["details"]["gen_ai.input.messages"]).decode()
    assert Trace.objects.get().state == "success"


@pytest.mark.django_db(transaction=True)
def test_the_demonstration_says_what_models_say_while_they_say_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer's pieces are the text that is stored, under the id of its call, which is of this run alone."""
    pieces: dict[str, str] = {}

    def hear(emitter: TraceEmitter, call_id: str, text: str) -> None:
        pieces[call_id] = pieces.get(call_id, "") + text

    monkeypatch.setattr(TraceEmitter, "stream_text", hear)
    with recorded_run() as asked:
        decisions.decide(asked, "approved", user=None, channel="api")
    answers = {
        event["details"]["call_id"]: "".join(
            part.get("content", "")
            for message in event["details"]["gen_ai.output.messages"]
            for part in message["parts"]
        )
        for event in stored_events()
        if event["event"] == "llm_call_complete"
    }
    assert pieces == {call_id: text for call_id, text in answers.items() if text}
    assert not answers.keys() & set(RECORDING.read_text().split('"'))


@pytest.mark.django_db(transaction=True)
def test_the_demonstration_s_run_stops_when_it_is_asked_to() -> None:
    """What was open is cancelled, of both agents at once, and nobody is asked."""
    waited: list[float] = []
    emitter = TraceEmitter()

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        if len(waited) == 40:
            emitter.flush(60)
            request_stop(Trace.objects.get(), user=None, channel="api")
            until(lambda: emitter.stop_requested)
        return False

    with pytest.raises(StopRequestedError), emitter:
        RecordedRun(emitter, wait).play()
    assert recorder.flush(60)
    spans = [span for span in Spans(stored_events()).all if span.call_id]
    assert "open" not in {span.outcome for span in spans}
    assert {span.name for span in spans if span.outcome == "cancelled"} >= {"orchestrator", "reader", "tester"}
    assert Trace.objects.get().state == "incomplete"
    assert not Approval.objects.exists()


def test_the_demonstration_refuses_to_run_without_debug(settings: Settings) -> None:
    """Its password is known to everybody."""
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DJANGO_DEBUG=1"):
        call_command("demo")


def test_manage_py_test_hands_everything_to_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels and options reach pytest, and its exit code comes back."""
    calls: list[Any] = []

    def main(arguments: list[str]) -> int:
        calls.append(arguments)
        return 3

    monkeypatch.setattr(pytest, "main", main)
    runner = PytestRunner(verbosity=2, failfast=True, keepdb=True, test_name_patterns=["socket"])
    assert runner.run_tests(["tests/test_store.py"]) == 3
    assert calls == [["--verbose", "--exitfirst", "--reuse-db", "-k=socket", "tests/test_store.py"]]


def test_a_demonstration_that_runs_already_is_left_alone(settings: Settings) -> None:
    """With its port taken nothing is migrated or played: the command says which port to choose, and fails."""
    settings.DEBUG = True
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(CommandError, match=f"make demo PORT={port + 1}"):
        call_command("demo", "--port", str(port))


def test_a_site_elsewhere_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says where it looks for one."""
    monkeypatch.delenv("TRACE_STREAMING_TOKEN", raising=False)
    with pytest.raises(CommandError, match="--token, or TRACE_STREAMING_TOKEN"):
        call_command("emit_trace_event", "t-1", "plan_created", "--url", "http://127.0.0.1:9")


WITHOUT_HTTPX = """
import sys
sys.modules["httpx"] = None
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["redact_check", "manage.py"], 0, "Nothing would be hidden"),
        (["tail_trace", "a b"], 2, "CommandError: Invalid trace id"),
        (["tail_trace", "t", "--url", "http://127.0.0.1:9"], 2, r"CommandError: .*\[remote\]"),
        (
            ["emit_trace_event", "t", "plan_created", "--url", "http://a", "--token", "x"],
            1,
            r"CommandError: .*\[remote\]",
        ),
    ],
)
def test_what_asks_no_server_needs_no_extra(command: list[str], code: int, words: str) -> None:
    """As after a plain ``pip install``; what does says which."""
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    program = [sys.executable, "-c", WITHOUT_HTTPX, *command]
    done = subprocess.run(program, check=False, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == code, done.stderr
    assert re.search(words, done.stdout + done.stderr)
    assert "Traceback" not in done.stderr
