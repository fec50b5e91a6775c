"""``manage.py demo``: the site, with recorded runs of real agents streaming into it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from datetime import datetime
from itertools import cycle, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from cuga_site.recorded_run import Stopped, play_recorded_run
from trace_streaming.emitting.playback import RecordedEvent, play, read_recording
from trace_streaming.models import Trace
from trace_streaming.recording.recorder import recorder

RECORDINGS = Path(__file__).resolve().parents[2] / "recordings"
PACE = {
    "swe-agent-marshmallow-1867.jsonl": 1.0,
    "cuga-orchestrator.jsonl": 0.15,
    "swe-agent-ctf-katy.jsonl": 1.0,
}
"""The recordings, in the order they are played, and how fast: the sales orchestrator's tools took no time."""
NAMES = {
    "swe-agent-marshmallow-1867": "Mend marshmallow's rounding of durations",
    "swe-agent-ctf-katy": "Capture the flag: Katy",
    "A-enterprise": "Sales report for an enterprise",
    "B-timeout": "Sales report, and nobody answers",
    "C-budget-total": "Sales report beyond its budget",
    "D-budget-domain": "Sales report beyond a domain's budget",
    "E-budget-tool": "Sales report beyond a tool's budget",
    "F-tool-error": "Sales report with a tool that fails",
    "G-empty": "Sales report of nothing",
    "H-two-plans": "Sales report in two plans",
}
"""What the recorded traces are called."""
PAUSE_SECONDS = 2.0
KEPT_TRACES = 200
LOGIN = "demo"


class Command(BaseCommand):
    """Migrates, makes a user, plays the recordings in a loop, and serves until Ctrl-C."""

    help = "Serve the demonstration site while recorded agent runs stream into it."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--host`` and ``--port``."""
        parser.add_argument("--host", default="127.0.0.1", help="address to serve on (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to serve on (8000)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        """Everything the demonstration needs, then daphne."""
        if not settings.DEBUG:
            raise CommandError("The demonstration has a known password: run it with DJANGO_DEBUG=1 only.")
        if not _is_free(host, port):
            raise CommandError(f"Port {port} of {host} is taken. Choose another: make demo PORT={port + 1}")
        call_command("migrate", verbosity=0)
        self._make_user()
        self.stdout.write(f"\n  Watch agents work:  http://{host}:{port}/")
        self.stdout.write(f"  Admin:              http://{host}:{port}/admin/   login: {LOGIN}, password: {LOGIN}")
        self.stdout.write("  Ctrl-C ends it.\n")
        stop = threading.Event()
        player = threading.Thread(target=play_in_a_loop, args=(stop.wait,), name="demo-player", daemon=True)
        player.start()
        threading.Thread(target=run_in_a_loop, args=(stop.wait,), name="demo-run", daemon=True).start()
        try:
            call_command("runserver", f"{host}:{port}", use_reloader=False, verbosity=0)
        finally:
            stop.set()
            player.join(timeout=5)

    @staticmethod
    def _make_user() -> None:
        users = get_user_model()._default_manager
        if not users.filter(username=LOGIN).exists():
            users.create_superuser(LOGIN, "demo@example.com", LOGIN)


def _is_free(host: str, port: int) -> bool:
    """Asked before anything is played: a demonstration that runs already would get it into its database."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return True
    except OSError:
        return False


def play_in_a_loop(wait: Callable[[float], bool]) -> None:
    """Play one recording after another under fresh trace ids, until ``wait`` says that it is over.

    :param wait: takes seconds; returns whether to stop
    """

    def sleep(seconds: float) -> None:
        if wait(seconds):
            raise Stopped

    try:
        for name, pace in cycle(PACE.items()):
            suffix = datetime.now().strftime("%H%M%S")  # noqa: DTZ005  for people to read
            lines = (RECORDINGS / name).read_bytes().splitlines()
            events = [event for event in read_recording(lines) if isinstance(event, RecordedEvent)]
            for trace_id, run in groupby(events, attrgetter("trace_id")):  # so that each trace ends with its own run
                play(run, f"{trace_id}-{suffix}".format, pace, sleep, name=NAMES.get)
            recorder.flush(timeout=PAUSE_SECONDS)
            _forget_old_traces()
            sleep(PAUSE_SECONDS)
    except Stopped:
        pass
    finally:
        connection.close()


def run_in_a_loop(wait: Callable[[float], bool]) -> None:
    """Agents that mend a test, and ask whoever looks before they tell anybody, again and again."""
    try:
        while not wait(PAUSE_SECONDS):
            play_recorded_run(wait)
    except Stopped:
        pass
    finally:
        connection.close()


def _forget_old_traces() -> None:
    kept = Trace.objects.values_list("pk", flat=True)[:KEPT_TRACES]
    Trace.objects.exclude(pk__in=list(kept)).delete()
