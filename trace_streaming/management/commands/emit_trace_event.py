"""``manage.py emit_trace_event TRACE EVENT``: emit one event from a shell script."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any, Final

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from trace_streaming.conf import conf
from trace_streaming.emitting.contract import Emitter
from trace_streaming.emitting.emitter import TraceEmitter
from trace_streaming.events import END_STATES, STATUSES, check_trace_id, parse_json
from trace_streaming.management.migrated import check_migrated
from trace_streaming.recording.recorder import recorder

WAIT_SECONDS: Final = 30.0


class _Addition(TraceEmitter):
    """To a trace that is not over when this process is."""

    holds = False


class Command(BaseCommand):
    """Waits until the event is stored, here or, with ``--url``, on another server."""

    help = "Emit one event, and wait until it is stored. Exit code: 0 when it is, 1 otherwise."
    requires_system_checks = ()  # with --url, there may be no database

    def add_arguments(self, parser: CommandParser) -> None:
        """TRACE, EVENT, what the event holds, and where it goes."""
        parser.add_argument("trace_id", metavar="TRACE")
        parser.add_argument("event", metavar="EVENT", help="its name")
        parser.add_argument("--details", type=_details, default={}, metavar="JSON", help="an object ({})")
        parser.add_argument("--status", choices=STATUSES, default="pending", help="(pending)")
        parser.add_argument("--end", choices=END_STATES, help="end the trace behind it")
        parser.add_argument("--url", help="of a site elsewhere, instead of this project's database")
        parser.add_argument("--token", help="for --url; without it, TRACE_STREAMING_TOKEN of the environment")
        parser.add_argument("--scheme", default="Token", help="what stands before the token (Token)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Emit, and wait."""
        try:
            check_trace_id(options["trace_id"])  # an emitter without one makes one up
            emitter, lost = self._emitter(options)
            emitter.emit(options["event"], options["details"], options["status"])
        except (ValueError, ModuleNotFoundError) as error:
            raise CommandError(str(error)) from None
        if options["end"]:
            emitter.end(options["end"])
        if not emitter.flush(WAIT_SECONDS):
            raise CommandError(f"The event was not stored within {WAIT_SECONDS:.0f} seconds.")
        if lost():
            raise CommandError("The event was refused; see the log.")

    def _emitter(self, options: dict[str, Any]) -> tuple[Emitter, Callable[[], int]]:
        """And how many events were given up since."""
        if options["url"] is None:
            check_migrated()
            before = recorder.lost
            return _Addition(options["trace_id"]), lambda: recorder.lost - before
        from trace_streaming.remote import RemoteTraceEmitter

        token = options["token"] or os.environ.get("TRACE_STREAMING_TOKEN")
        if not token:
            raise CommandError("With a URL it needs a user's token: --token, or TRACE_STREAMING_TOKEN")
        emitter = RemoteTraceEmitter(
            options["url"], token, options["trace_id"], scheme=options["scheme"], extra_events=conf.EXTRA_EVENTS
        )
        emitter.holds = False
        return emitter, lambda: emitter.lost


def _details(text: str) -> dict[str, Any]:
    try:
        details = parse_json(text)
    except orjson.JSONDecodeError as error:
        raise ArgumentTypeError(f"not JSON: {error}") from None
    if not isinstance(details, dict):
        raise ArgumentTypeError("not a JSON object")
    return details
