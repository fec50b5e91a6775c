"""``manage.py play_trace FILE``: emit a recording as live events."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trace_streaming.emitting.playback import BadLine, RecordedEvent, play, read_recording
from trace_streaming.events import check_trace_id
from trace_streaming.management.migrated import check_migrated
from trace_streaming.recording.recorder import recorder
from trace_streaming.telemetry.logs import on_one_line


class Command(BaseCommand):
    """Plays JSON lines, one event each; bad lines are named, the rest goes on."""

    help = "Emit a recording (JSON lines, one event each) as live events."

    def add_arguments(self, parser: CommandParser) -> None:
        """FILE, ``--trace-id`` and ``--speed``."""
        parser.add_argument("file", metavar="FILE", help="the recording; - is standard input")
        parser.add_argument("--trace-id", type=_trace_id, help="play everything under this trace id")
        parser.add_argument("--speed", type=_speed, default=1.0, help="2 is twice as fast, 0 without pauses (1)")

    def handle(self, *args: Any, file: str, trace_id: str | None, speed: float, **options: Any) -> None:
        """Play, wait until all is stored, and fail when a line was bad."""
        self._bad_lines, lost = 0, recorder.lost
        try:
            with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as lines:
                check_migrated()
                emitters = play(self._events(lines), lambda recorded: trace_id or recorded, speed)
        except OSError as error:
            raise CommandError(f"Cannot read {file}: {error.strerror}") from error
        if not recorder.flush(timeout=30):
            raise CommandError("The database did not store all events within 30 seconds.")
        for emitter in emitters.values():
            self.stdout.write(f"{emitter.trace_id}: {emitter.event_count} events")
        if lost := recorder.lost - lost:
            raise CommandError(f"{lost} event(s) were lost; see the log.")
        if self._bad_lines:
            raise CommandError(f"{self._bad_lines} bad line(s) were left out.")

    def _events(self, lines: Iterable[bytes]) -> Iterator[RecordedEvent]:
        for item in read_recording(lines):
            if isinstance(item, BadLine):
                self._bad_lines += 1
                self.stderr.write(f"line {item.number}: {on_one_line(item.reason)}")
            else:
                yield item


def _trace_id(text: str) -> str:
    try:
        return check_trace_id(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return speed
