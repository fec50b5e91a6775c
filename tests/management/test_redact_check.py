"""``manage.py redact_check``: what would be hidden, where, and by which rule; and never what it is."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from tests.security.corpora import NAMES, corpus
from trace_streaming.events.freezing import JSON
from trace_streaming.management.hidden_places import Check, hidden_spans
from trace_streaming.redaction.spans import Span, merged, without

ROOT = Path(__file__).parent.parent.parent
EVENTS = [
    {
        "event": "tool_call_start",
        "trace_id": "t",
        "details": {"url": "https://ada:fog-7731-elm@db", "apiKey": "Zx81-kq22"},
    },
    {
        "event": "tool_call_complete",
        "trace_id": "t",
        "details": {"rows": [1, "we used\nfog-7731-elm", 4111111111111111]},
    },
    {"event": "plan_created", "trace_id": "t", "details": {"steps": 2, "[redacted:email]": "Bearer [redacted:key]"}},
]
SECRETS = ("fog-7731-elm", "Zx81-kq22", "4111111111111111")


class Answer(SimpleNamespace):
    code: int
    out: str
    err: str


def check(*arguments: object) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises((SystemExit, CommandError)) as ended:
        call_command("redact_check", *map(str, arguments), stdout=out, stderr=err)
    error: Any = ended.value
    is_code = isinstance(error, SystemExit)
    return Answer(
        code=error.code or 0 if is_code else error.returncode,
        out=out.getvalue(),
        err=err.getvalue() if is_code else str(error),
    )


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, [EVENTS[0], *EVENTS[1:]])) + "\n\n")
    return path


def test_events_are_told_by_line_path_and_rule(events: Path) -> None:
    """What was hidden in one event is hidden in the next; what was hidden before is no find."""
    answer = check(events)
    assert answer.code == 1
    assert answer.out.splitlines() == [
        f"{events}:1: .details.url:1:13: url password",
        f"{events}:1: .details.apiKey: key",
        f"{events}:2: .details.rows[1]:2:1: known value",
        f"{events}:2: .details.rows[2]: card",
        "4 would be hidden: url password 1, key 1, known value 1, card 1",
    ]
    assert not any(secret in answer.out + answer.err for secret in SECRETS)


def test_the_file_is_written_as_it_would_be_kept(events: Path) -> None:
    """All else byte for byte; the totals go to standard error."""
    answer = check(events, "--redacted")
    lines = answer.out.splitlines(keepends=True)
    assert answer.code == 1
    assert json.loads(lines[0]) == {
        **EVENTS[0],
        "details": {"url": "https://ada:[redacted:url password]@db", "apiKey": "[redacted:key]"},
    }
    assert json.loads(lines[1])["details"] == {"rows": [1, "we used\n[redacted:known value]", "[redacted:card]"]}
    assert lines[2:] == events.read_text().splitlines(keepends=True)[2:]
    assert answer.err == "4 would be hidden: url password 1, key 1, known value 1, card 1\n"


def test_a_text_is_told_by_line_and_column(tmp_path: Path) -> None:
    """In characters, from 1; the same value again is hidden, too."""
    log = tmp_path / "app.log"
    log.write_text("caf\u00e9\n\u2026 API_KEY=fog-7731-elm x\nmail ada@example.com, again fog-7731-elm")
    answer = check(log)
    assert answer.out.splitlines()[:-1] == [f"{log}:2:11: key", f"{log}:3:6: email", f"{log}:3:29: known value"]
    shown = "caf\u00e9\n\u2026 API_KEY=[redacted:key] x\nmail [redacted:email], again [redacted:known value]"
    assert check(log, "--redacted").out == shown


def test_a_document_is_told_by_path(tmp_path: Path) -> None:
    """Which jq takes; keys are quoted where it wants that, and shown without what is hidden in them."""
    path = tmp_path / "page.json"
    document = {"a b": [{"name": "password", "value": "fog-7731-elm"}], "ada@example.com": {"x": "+1 415 555 2671"}}
    path.write_text(json.dumps(document))
    assert check(path).out.splitlines()[:-1] == [
        f'{path}: ["a b"][0].value: key',
        f'{path}: ["[redacted:email]"]:1:1: email',
        f'{path}: ["[redacted:email]"].x: phone',
    ]
    path.write_text(json.dumps([document]))
    assert check(path).out.startswith(f'{path}: .[0]["a b"][0].value: key\n')
    assert json.loads(check(path, "--redacted").out) == [
        {"a b": [{"name": "password", "value": "[redacted:key]"}], "[redacted:email]": {"x": "[redacted:phone]"}}
    ]


def test_nothing_to_hide_is_told_by_the_code(tmp_path: Path) -> None:
    """0, as for grep's opposite; an empty file has nothing, either."""
    for text in ("", "\n", '{"steps": 2}', "a plan of three steps\n", "[]", "17"):
        (tmp_path / "plain").write_text(text)
        assert check(tmp_path / "plain").__dict__ == {"code": 0, "out": "Nothing would be hidden.\n", "err": ""}
        assert check(tmp_path / "plain", "--redacted").out == text


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "Cannot read {}: No such file or directory"),
        (b"caf\xe9", "{} is no UTF-8: byte 3"),
        (b'{"event": "plan_created"}\n\n{"password": \n', "{}: line 3 is no JSON object"),
        (b"[1]\n", "{}: line 1 is no JSON object"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes | None, error: str) -> None:
    """With code 2, so that a script does not take it for a clean one."""
    path = tmp_path / "r.jsonl"
    if content is not None:
        path.write_bytes(content)
    answer = check(path)
    assert (answer.code, answer.out, answer.err) == (2, "", error.format(path))


def test_standard_input_is_read(tmp_path: Path) -> None:
    """As a pipe gives it; no database is asked."""
    done = subprocess.run(
        [sys.executable, "manage.py", "redact_check", "-"],
        cwd=ROOT, input="PGPASSWORD=fog-7731-elm psql", capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (1, "stdin:1:12: key\n1 would be hidden: key 1\n", "")


def test_secrets_are_shown_in_a_terminal_alone(tmp_path: Path) -> None:
    """A log of a build, or a file, would keep them; what a terminal would obey is not written."""
    path = tmp_path / "app.log"
    path.write_text("password='fog\x1b[2J7731-elm'\n")
    assert check(path, "--show").__dict__ == {
        "code": 2, "out": "", "err": "--show is for a terminal alone: files and logs would keep it."
    }  # fmt: skip
    terminal, its_end = pty.openpty()
    command = [sys.executable, "manage.py", "redact_check", "--show", "--no-color", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=its_end) as process:
        assert process.wait(timeout=120) == 1
    os.close(its_end)
    shown = os.read(terminal, 65_536).decode()
    os.close(terminal)
    assert f"{path}:1:11: key = fog\ufffd[2J7731-elm\r\n" in shown


def redact_for_shop(details: dict[str, JSON]) -> dict[str, JSON]:
    """As a project may write its own."""
    if details.get("fails"):
        raise RuntimeError(f"on {details}")
    return {key: value for key, value in details.items() if key != "left_out"} | (
        {"customer": "[redacted:customer]"} if "customer" in details else {}
    )


def test_a_projects_own_redactor_is_asked(tmp_path: Path, settings: Settings) -> None:
    """What it raises is named by its type alone."""
    settings.TRACE_STREAMING_REDACTOR = f"{__name__}.redact_for_shop"
    path = tmp_path / "t.jsonl"
    path.write_text('{"customer": {"n": 7}, "email": "ada@example.com"}\n')
    assert check(path).out == f"{path}:1: .customer: customer\n1 would be hidden: customer 1\n"
    path.write_text('{"fails": "fog-7731-elm"}\n')
    assert check(path).__dict__ == {"code": 2, "out": "", "err": f"{path}: the redactor fails (RuntimeError)"}


def test_a_long_text_is_looked_at_to_its_end(tmp_path: Path) -> None:
    """More than any event is; where it is dense, too, and no key is parted by where the pieces end."""
    armour = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkq\n" * 99 + "-----END PRIVATE KEY-----\n"
    text = "".join(f"USER_{n}_PASSWORD=fog{n:05}-elm\n" + (armour if n % 300 == 0 else "") for n in range(6_000))
    (tmp_path / "all.env").write_text(text)
    answer = check(tmp_path / "all.env")
    assert answer.out.splitlines()[-1] == "6020 would be hidden: key 6000, private key 20"
    redacted = check(tmp_path / "all.env", "--redacted").out
    assert "elm" not in redacted
    assert "MIIE" not in redacted


def test_what_is_too_much_for_an_event_is_told(tmp_path: Path) -> None:
    """As an event it would be cut there; as a document it is read to its end, as a text."""
    dense = {f"USER_{n}": f"mail user{n}@example.com and password=fog{n:05}-elm" for n in range(2_000)}
    lines, document = tmp_path / "t.jsonl", tmp_path / "t.json"
    lines.write_text(json.dumps({"event": "plan_created", "trace_id": "t", "details": dense}) + "\n")
    assert "too much to look at" in check(lines).out
    document.write_text(json.dumps(dense, indent=1))
    assert check(document).out.splitlines()[-1] == "4000 would be hidden: email 2000, key 2000"


pieces = st.lists(st.sampled_from(["a", "b", "\n", ";", "=", "[redacted:key]", "ab"]), min_size=1, max_size=12).map(
    "".join
)


@given(st.lists(st.tuples(pieces, st.booleans(), st.sampled_from(["key", "email"])), max_size=8), st.booleans())
def test_the_places_are_those_of_the_markers(parts: list[tuple[str, bool, str]], is_noted: bool) -> None:
    """Whatever stands between them: with a marker at each place, the one text becomes the other."""
    text, spans = "", []
    for part, is_hidden, rule in parts:
        if is_hidden and not part.startswith("[redacted:"):
            spans.append(Span(len(text), len(text) + len(part), rule))
        text += f"{part};"
    after = without(text, merged(spans))
    noted = {text[span.start : span.end] for span in spans} if is_noted else set()
    assert without(text, hidden_spans(text, after, noted)) == after


def test_what_stands_between_places_may_stand_in_one() -> None:
    """The first end that fits one marker may fit no other."""
    text = "a;a;a;aaaaaa;a[redacted:key]aaa;aaaaaa;a[redacted:key]aaa;"
    after = "[redacted:key];[redacted:key];[redacted:key];aaaaaa;a[redacted:key]aaa;"
    assert without(text, hidden_spans(text, after)) == after


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inside in value.values() if isinstance(value, dict) else value:
            yield from texts(inside)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_of_a_text_is_what_is_hidden(name: str) -> None:
    """Of all texts of a corpus: with a marker at each place, it is the redacted text; but one that was disguised."""
    for text in (text for details, _ in corpus(name).secrets for text in texts(details)):
        redacted, places = Check().text(text)
        starts = [sum(len(line) + 1 for line in text.split("\n")[: p.line - 1]) + p.column - 1 for p in places]
        assert all(text.startswith(place.secret, start) for place, start in zip(places, starts, strict=True))
        spans = [Span(start, start + len(p.secret), p.rule) for p, start in zip(places, starts, strict=True)]
        assert without(text, spans) == redacted or "\x1b" in text or "1b[" in text or not text.isascii()
        assert bool(places) == (redacted != text)
