"""``manage.py prune_traces --older-than 30d``: delete traces that have long been silent."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Sum
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trace_streaming.conf import conf
from trace_streaming.models import stored_now
from trace_streaming.recording.leases import give_up_the_dead
from trace_streaming.recording.spool_files import remove_set_aside
from trace_streaming.storage.retention import forget_leftovers, mark_incomplete, prune, silent_traces

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Command(BaseCommand):
    """Deletes in small ranges, so that emitters and watchers go on beside it; may be stopped at any time."""

    help = "Delete traces, with all their events, that have had no event for some time."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--older-than``, ``--keep-errors``, ``--owner`` and ``--dry-run``."""
        parser.add_argument(
            "--older-than",
            type=_age,
            required=True,
            metavar="AGE",
            help="in minutes, hours, days, weeks: 90m 12h 30d 8w",
        )
        parser.add_argument("--keep-errors", action="store_true", help="keep traces with errors")
        parser.add_argument("--owner", metavar="NAME", help="only traces of this user")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(
        self,
        *args: Any,
        older_than: timedelta | str,
        keep_errors: bool,
        owner: str | None,
        dry_run: bool,
        **options: Any,
    ) -> None:
        """Delete, oldest first, and say how much.

        :param older_than: a text where it is a keyword argument of ``call_command``, which hands it on as it was
        """
        age = _age(older_than) if isinstance(older_than, str) else older_than
        before = stored_now() - age
        traces = silent_traces(before, keep_errors, None if owner is None else _user(owner))
        if dry_run:
            events = traces.aggregate(total=Sum("event_count"))["total"] or 0
            self.stdout.write(f"Would delete {traces.count()} traces with {events} events.")
            return
        traces_deleted = events_deleted = 0
        with Progress(
            TextColumn("Pruning"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(file=self.stderr),  # type: ignore[arg-type]  # it writes and flushes, which is what is used
            disable=options["verbosity"] == 0 or not self.stderr.isatty(),
            transient=True,
        ) as progress:
            task = progress.add_task("", total=traces.aggregate(total=Sum("event_count"))["total"] or 0)
            for trace in traces.iterator(chunk_size=500):
                for deleted in prune(trace, before):
                    events_deleted += deleted
                    progress.advance(task, deleted)
                if options["verbosity"] > 1:
                    self.stdout.write(f"{trace.trace_id}: {trace.event_count} events")
                traces_deleted += 1
        self.stdout.write(f"Deleted {traces_deleted} traces with {events_deleted} events.")
        if owner is None:
            forget_leftovers(before)
            if conf.SPOOL_DIR is not None:
                remove_set_aside(Path(conf.SPOOL_DIR), datetime.now(UTC) - age)
        mark_incomplete()
        give_up_the_dead()


def _user(name: str) -> Any:
    try:
        return get_user_model()._default_manager.get_by_natural_key(name)
    except ObjectDoesNotExist:
        raise CommandError(f"There is no user {name!r}") from None


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text)
    if match is None:
        raise ArgumentTypeError(f"{text!r} is no age: write 90m, 12h, 30d or 8w")
    age = timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        datetime.now(UTC) - age
    except OverflowError:
        raise ArgumentTypeError(f"{text!r} is no age: it is before all calendars") from None
    return age
