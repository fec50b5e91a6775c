"""``manage.py export_trace ID``: write a trace into a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from trace_streaming.exporting.pages import chrome_trace, json_lines, otlp_json
from trace_streaming.management.written import write_utf8, written
from trace_streaming.models import Trace
from trace_streaming.storage.store import database
from trace_streaming.wire.protocol import WatchRequest

_FORMATS: Final = {
    "jsonl": lambda trace: json_lines(trace, WatchRequest(trace.trace_id), None),
    "chrome": lambda trace: chrome_trace(trace, WatchRequest(trace.trace_id)),
    "otlp": lambda trace: otlp_json(trace, WatchRequest(trace.trace_id)),
    "perfetto": lambda trace: chrome_trace(trace, WatchRequest(trace.trace_id)),
}


class Command(BaseCommand):
    """Writes page by page: the trace is never held in memory."""

    help = (
        "Write a trace as JSON lines, which play_trace plays again, for Perfetto, as a Chrome trace, or as OTLP's JSON."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """ID, ``--format`` and ``--output``."""
        parser.add_argument("trace_id", metavar="ID")
        parser.add_argument("--format", choices=sorted(_FORMATS), default="jsonl", help="(jsonl)")
        parser.add_argument("--output", metavar="FILE", help="instead of standard output")

    def handle(self, *args: Any, trace_id: str, output: str | Path | None, **options: Any) -> None:
        """Write what is stored now."""
        trace = Trace.objects.using(database()).filter(trace_id=trace_id).first()
        if trace is None:
            raise CommandError(f"There is no trace {trace_id}.")
        if output is None:
            with written(self.stdout):
                self._write(trace, lambda part: write_utf8(self.stdout, part), options)
            return
        try:
            with Path(output).open("wb") as file:
                self._write(trace, file.write, options)
        except OSError as error:
            raise CommandError(f"Cannot write: {error.strerror}") from error

    def _write(self, trace: Trace, write: Callable[[bytes], object], options: dict[str, Any]) -> None:
        with Progress(
            TextColumn("Exporting"),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(file=self.stderr),  # type: ignore[arg-type]  # it writes and flushes, which is what is used
            disable=options["verbosity"] == 0 or not self.stderr.isatty(),
            transient=True,
        ) as progress:
            has_lines = options["format"] != "otlp"
            task = progress.add_task("", total=trace.event_count if has_lines else None)
            for part in _FORMATS[options["format"]](trace):
                write(part)
                progress.advance(task, part.count(b"\n"))  # of all others, one for each event, or nearly
