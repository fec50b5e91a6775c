"""``manage.py redact_check FILE``: show what would be hidden in a file, and by which rule."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from trace_streaming.emitting.project_events import redactor
from trace_streaming.events import parse_json
from trace_streaming.events.freezing import MAX_BYTES
from trace_streaming.events.texts import cut
from trace_streaming.management.hidden_places import TOO_MUCH, Check, Place, RedactorFailedError
from trace_streaming.management.written import write_utf8, written
from trace_streaming.remote.terminal import printable

FOUND: Final = 1
BAD_FILE: Final = 2
_OF_LINES: Final = frozenset({".jsonl", ".ndjson"})
_MOST_SHOWN: Final = 200
"""Characters of a secret, in a terminal."""


class Checked(NamedTuple):
    """A part of the file: an event, a document, or a text."""

    line: int
    """Of the file, where it is one of several; else 0."""
    places: list[Place]
    redacted: str
    """With its line's end, if it had one."""


class Command(BaseCommand):
    """Nothing is stored or sent, and no database is asked; the file is one trace."""

    help = "Show what would be hidden in a file of events, or in any text. Exit code: 0 for nothing, 1 for something."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """FILE, ``--redacted`` and ``--show``."""
        parser.add_argument("file", metavar="FILE", help="JSON lines, JSON, or a text; - is standard input")
        parser.add_argument("--redacted", action="store_true", help="write the file as it would be kept, instead")
        parser.add_argument("--show", action="store_true", help="show what is hidden, too; in a terminal alone")

    def handle(self, *args: Any, file: str, redacted: bool, show: bool, **options: Any) -> None:
        """Check, and exit with the code."""
        if show and not self.stdout.isatty():
            raise CommandError("--show is for a terminal alone: files and logs would keep it.", returncode=BAD_FILE)
        name, totals = "stdin" if file == "-" else printable(file), Counter[str]()
        with written(self.stdout, BAD_FILE):
            self._write(name, file, redacted, show, totals)
        sys.exit(FOUND if totals else 0)

    def _write(self, name: str, file: str, redacted: bool, show: bool, totals: Counter[str]) -> None:
        for part in self._checked(file):
            totals.update(place.rule for place in part.places)
            if redacted:
                write_utf8(self.stdout, part.redacted.encode())
                continue
            for place in part.places:
                self.stdout.write(f"{name}:{_where(part.line, place)}: {place.rule}{_secret(place) if show else ''}")
        rules = ", ".join(f"{rule} {count}" for rule, count in totals.most_common())
        (self.stderr if redacted else self.stdout).write(
            f"{totals.total()} would be hidden: {rules}" if totals else "Nothing would be hidden."
        )

    def _checked(self, file: str) -> Iterator[Checked]:
        try:
            raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
            text = raw.decode("utf-8-sig")
        except OSError as error:
            raise CommandError(f"Cannot read {file}: {error.strerror}", returncode=BAD_FILE) from error
        except UnicodeDecodeError as error:
            raise CommandError(f"{file} is no UTF-8: byte {error.start}", returncode=BAD_FILE) from None
        try:
            yield from _check(text, Check(redactor()), must_be_lines=Path(file).suffix.lower() in _OF_LINES)
        except (NoObjectError, RedactorFailedError) as error:
            raise CommandError(f"{file}: {error}", returncode=BAD_FILE) from None


class NoObjectError(ValueError):
    """A line that is none."""


def _check(text: str, check: Check, *, must_be_lines: bool) -> Iterator[Checked]:
    """As what it is read: a document, events, or a text."""
    document = None if must_be_lines else _document(text)
    if document is not None:
        redacted, places = check.details(document)
        if all(place.rule != TOO_MUCH for place in places):
            indented = orjson.dumps(redacted, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
            yield Checked(0, places, indented if places else text)
            return
    try:
        lines = [] if document is not None else [*_objects(text)]
    except NoObjectError:
        if must_be_lines:
            raise
        lines = []
    for number, (line, value) in enumerate(lines, 1):
        yield _check_line(number, line, value, check)
    if not lines:
        redacted_text, places = check.text(text)
        yield Checked(0, places, redacted_text)


def _check_line(number: int, line: str, value: dict[str, Any] | None, check: Check) -> Checked:
    """Of an event its details, as ``emit`` takes them; of another object all."""
    if value is None:
        return Checked(number, [], line)
    if _is_event(value):
        details, places = check.details(value["details"], ".details")
        value["details"] = details
    else:
        redacted, places = check.details(value)
        value = redacted if isinstance(redacted, dict) else value
    end = line[len(line.rstrip("\r\n")) :]
    return Checked(number, places, orjson.dumps(value).decode() + end if places else line)


def _is_event(value: dict[str, Any]) -> bool:
    return isinstance(value.get("event"), str) and isinstance(value.get("details"), dict)


def _document(text: str) -> dict[str, Any] | list[Any] | None:
    """An object or a list that is the whole text, no larger than an event; no event."""
    try:
        document = parse_json(text) if text.lstrip()[:1] in {"{", "["} and len(text) <= MAX_BYTES else None
    except ValueError:
        return None
    return None if isinstance(document, dict) and _is_event(document) else document


def _objects(text: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each line, with its end, and its object; blank ones have none."""
    for number, line in enumerate(io.StringIO(text, newline="\n"), 1):
        try:
            value = parse_json(line) if line.strip() else None
        except ValueError:
            value = ()
        if value is not None and not isinstance(value, dict):
            raise NoObjectError(f"line {number} is no JSON object")
        yield line, value


def _where(line: int, place: Place) -> str:
    parts = (str(line) if line else "", f" {printable(place.path)}" if place.path else "")
    position = f"{place.line}:{place.column}" if place.line else ""
    return ":".join(part for part in (*parts, position) if part)


def _secret(place: Place) -> str:
    return f" = {printable(cut(place.secret, _MOST_SHOWN))}"
