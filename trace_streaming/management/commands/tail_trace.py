"""``manage.py tail_trace ID``: follow a trace live, until it ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from io import StringIO
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from trace_streaming.access.authentication import Handshake
from trace_streaming.conf import conf
from trace_streaming.connections.event_source import EventSource
from trace_streaming.events import check_trace_id, event_names
from trace_streaming.exceptions import ProtocolError
from trace_streaming.management.migrated import check_migrated
from trace_streaming.management.written import written
from trace_streaming.remote.resuming import Message, NotLetInError, Place, Source, follow
from trace_streaming.remote.terminal import Nesting, OpenSpans, event_line, printable, printable_json, rendered
from trace_streaming.wire.protocol import parse_watch_request

EXIT_CODES: Final = {"success": 0, "error": 1}
SHOWN_NAMES: Final = 10
"""Of spans that were left unfinished."""
OTHERWISE: Final = 2
"""The trace is incomplete, or could not be followed to its end."""
INTERRUPTED: Final = 130


class Command(BaseCommand):
    """Reads the log by the same subscription as a socket; with ``--url``, another server's."""

    help = "Follow a trace live, until it ends. Exit code: 0 for success, 1 for error, 2 otherwise."
    requires_system_checks = ()  # with --url, there may be no database

    def add_arguments(self, parser: CommandParser) -> None:
        """ID, ``--since``, the filters, ``--json``, and where to read."""
        parser.add_argument("trace_id", metavar="ID", help="of the trace; one that has not begun is waited for")
        parser.add_argument(
            "--since", type=int, metavar="N", help="begin behind this sequence, 0 is the start (live only)"
        )
        parser.add_argument("--events", metavar="NAME,…", help="only events of these names")
        parser.add_argument("--status", metavar="STATUS,…", help="only events with these statuses")
        parser.add_argument("--json", action="store_true", help="one JSON object a line, as it is stored")
        parser.add_argument("--url", help="of a site elsewhere, instead of this project's database")
        parser.add_argument("--token", help="for --url; without it, TRACE_STREAMING_TOKEN of the environment")
        parser.add_argument("--scheme", default="Token", help="what stands before the token (Token)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Follow, and exit with the state's code."""
        # To a file of its own: it only renders, and writes what is not to be seen, too.
        self._console = Console(
            file=StringIO(),
            force_terminal=options["force_color"] or self.stdout.isatty(),
            no_color=options["no_color"],
        )
        self._as_json: bool = options["json"]
        self._nesting = Nesting()
        self._spans = OpenSpans()
        try:
            code = asyncio.run(self._follow(_source(options), options["since"]))
        except (NotLetInError, ProtocolError, ValueError) as error:
            raise CommandError(printable(str(error)), returncode=OTHERWISE) from None
        except KeyboardInterrupt:
            code = INTERRUPTED
        sys.exit(code)

    async def _follow(self, source: Source, since: int | None) -> int:
        code, is_away = OTHERWISE, False
        async with aclosing(follow(source, since)) as messages:
            async for message in messages:
                data = orjson.loads(message.data)
                if message.name == "":
                    self._spans.see(data)
                    self._say(message, data)
                elif message.name == "gap":
                    self.stderr.write(printable(f"Events are missing: {data}"))
                elif message.name == "away" and not is_away:
                    self.stderr.write(printable(f"{data['message']}; connecting again"))
                elif message.name == "ended":
                    self.stderr.write(printable(f"The trace has ended: {data['state']}"))
                    if names := self._spans.names:
                        self.stderr.write(printable(f"Unfinished: {_listed(names)}"))
                    code = EXIT_CODES.get(data["state"], OTHERWISE)
                is_away = message.name == "away"
        return code

    def _say(self, message: Message, event: dict[str, Any]) -> None:
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        with written(self.stdout, OTHERWISE):
            if self._as_json:
                self.stdout.write(printable_json(message.data, encoding))
            else:
                line = rendered(event_line(event, self._nesting.depth(event)), self._console)
                self.stdout.write(line.encode(encoding, "replace").decode(encoding))  # some terminals know few letters


def _listed(names: list[str]) -> str:
    rest = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")


class _HereSource(EventSource):
    """Of whoever has the database anyway: there is nobody to let in."""

    def abort(self) -> None:
        """A terminal that was stopped for a while comes back: the stream has been told to end."""

    def _admit(self) -> None:
        """It is no connection."""

    def _have_checked(self) -> None:
        """Nor may it be cut off, whatever the project's policy says of strangers."""


def _source(options: dict[str, Any]) -> Source:
    trace_id = options["trace_id"]
    query = {name: options[name] for name in ("events", "status") if options[name] is not None}
    if options["url"] is None:
        check_trace_id(trace_id)
        check_migrated(OTHERWISE)
        return _here(trace_id, query)
    try:
        from trace_streaming.remote.ingest import check_authorization, check_base_url
        from trace_streaming.remote.watch import remote_source
    except ModuleNotFoundError:
        text = 'With a URL it needs httpx: pip install "django-trace-streaming[remote]"'
        raise CommandError(text, returncode=OTHERWISE) from None

    token = options["token"] or os.environ.get("TRACE_STREAMING_TOKEN")
    authorization = check_authorization(options["scheme"], token) if token else None
    return remote_source(check_base_url(options["url"]), authorization, trace_id, query)


def _here(trace_id: str, query: dict[str, str]) -> Source:
    def source(place: Place) -> AsyncGenerator[bytes, None]:
        asked = {**query, "since": place.since, "epoch": place.epoch}
        text = urlencode({name: value for name, value in asked.items() if value is not None})
        request = parse_watch_request(trace_id, text.encode(), event_names(conf.EXTRA_EVENTS))
        return _HereSource(request, {}, Handshake({}), None).parts()

    return source
