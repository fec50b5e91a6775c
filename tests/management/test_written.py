"""What commands write is whole, or the exit code says that it is not."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from django.core.management import CommandError, call_command

from trace_streaming import TraceEmitter

pytestmark = pytest.mark.django_db(transaction=True)
COMMANDS = [
    (("export_trace", "t"), 1),
    (("tail_trace", "t", "--since", "0"), 2),
    (("redact_check", "t.txt"), 2),
    (("redact_check", "t.txt", "--redacted"), 2),
]


@pytest.fixture(autouse=True)
def _trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored, and a file with a secret."""
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text("password=fog-7731-elm für Zoë ☃\n", encoding="utf-8")
    with TraceEmitter("t") as emitter:
        emitter.emit("plan_created", {"goal": "für Zoë ☃"})
    assert emitter.flush(60)


@pytest.fixture
def closed_pipe() -> Iterator[TextIO]:
    """Its reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        yield pipe


@pytest.mark.parametrize(("command", "code"), COMMANDS)
def test_whoever_closes_the_pipe_is_told_nothing(closed_pipe: TextIO, command: tuple[str, ...], code: int) -> None:
    """As with ``| head``; nor is anything said when the process flushes its output at its end."""
    err = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(*command, stdout=closed_pipe, stderr=err)
    assert ended.value.code == code
    assert "pipe" not in err.getvalue()
    closed_pipe.write("more")
    closed_pipe.flush()


@pytest.mark.parametrize(("command", "code"), COMMANDS)
def test_a_full_disk_is_one_line(command: tuple[str, ...], code: int) -> None:
    """And no success."""
    with (
        Path("/dev/full").open("w") as full,
        pytest.raises(CommandError, match="Cannot write: No space left on device") as ended,
    ):
        call_command(*command, stdout=full, stderr=io.StringIO())
    assert ended.value.returncode == code


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_files_are_written_as_utf_8(encoding: str) -> None:
    """Whatever letters the terminal of whoever writes them knows."""
    with Path("t.jsonl").open("w", encoding=encoding) as file:
        call_command("export_trace", "t", stdout=file)
    assert "für Zoë ☃" in Path("t.jsonl").read_text(encoding="utf-8")
    with Path("redacted.txt").open("w", encoding=encoding) as file, pytest.raises(SystemExit, match="1"):
        call_command("redact_check", "t.txt", "--redacted", stdout=file, stderr=io.StringIO())
    assert "] für Zoë ☃\n" in Path("redacted.txt").read_text(encoding="utf-8")
