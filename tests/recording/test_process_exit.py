"""A process that ends has stored what it emitted; how it ends, others still decide."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.servers import migrated_file
from trace_streaming.recording.process_exit import HOLD_SECONDS

RECORDING = """
import signal, os, threading, time
from trace_streaming.recording import process_exit

def say(word): os.write(1, (word + "\\n").encode())  # whole, whatever the other process says

class Recording:
    def close(self): say("closed")
    def before_fork(self): say("before")
    def after_fork(self): say("after")
    def forget(self): say("forgotten")

recording = Recording()
process_exit.install(recording)
"""


def run(script: str) -> tuple[list[str], int]:
    done = subprocess.run(
        [sys.executable, "-c", RECORDING + script], capture_output=True, text=True, check=False, timeout=90
    )
    assert "Traceback" not in done.stderr.replace("Traceback of the test", ""), done.stderr
    return done.stdout.split(), done.returncode


@pytest.mark.parametrize(
    ("script", "status"),
    [("", 0), ("raise SystemExit(3)", 3), ("import sys; sys.exit()", 0)],
)
def test_a_process_that_ends_by_itself(script: str, status: int) -> None:
    """By its last line, or by saying so."""
    assert run(script) == (["closed"], status)


def test_sigterm_ends_a_script_after_it_has_stored() -> None:
    """It dies of the signal, as it would have without us."""
    script = "process_exit.outlive_sigterm(recording); os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)"
    assert run(script) == (["closed"], -signal.SIGTERM)


def test_the_main_thread_waits_for_the_end() -> None:
    """What it emitted after the signal would be lost."""
    script = (
        "Recording.close = lambda self: (time.sleep(0.3), print('closed', flush=True))\n"
        "process_exit.outlive_sigterm(recording)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('went on', flush=True)"
    )
    assert run(script) == (["closed"], -signal.SIGTERM)


def test_a_second_sigterm_is_not_waited_for() -> None:
    """Whoever is in a hurry sends it twice."""
    script = (
        "Recording.close = lambda self: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(30))\n"
        "process_exit.outlive_sigterm(recording)\n"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    assert run(script) == ([], -signal.SIGTERM)


def test_whoever_handles_sigterm_goes_on_handling_it() -> None:
    """Servers do, and those who ignore it."""
    script = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "process_exit.outlive_sigterm(recording)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('lives')"
    )
    assert run(script) == (["lives", "closed"], 0)


def test_only_the_main_thread_may_set_a_handler() -> None:
    """From another one nothing is changed, and nothing fails."""
    script = (
        "thread = threading.Thread(target=process_exit.outlive_sigterm, args=[recording])\n"
        "thread.start(); thread.join()\n"
        "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    )
    assert run(script) == (["True", "closed"], 0)


def test_a_forked_child_forgets_what_is_its_parents() -> None:
    """And, ended by os._exit, closes nothing."""
    script = "child = os.fork()\nif child == 0: os._exit(0)\nos.waitpid(child, 0)"
    words, status = run(script)
    assert (words[0], sorted(words[1:3]), words[3:], status) == ("before", ["after", "forgotten"], ["closed"], 0)


def test_a_multiprocessing_child_closes_too() -> None:
    """It ends without atexit, but with its own finalizers."""
    script = (
        "import multiprocessing\n"
        "child = multiprocessing.get_context('fork').Process(target=say, args=['child'])\n"
        "child.start(); child.join()"
    )
    words, status = run(script)
    assert (sorted(words), status) == (["after", "before", "child", "closed", "closed", "forgotten"], 0)
    assert words.index("before") < words.index("forgotten") < words.index("child") < words.index("closed")


def test_a_multiprocessing_child_that_loads_the_app_itself_closes_too() -> None:
    """Its parent has not. Since Python 3.13 ``atexit`` is called there, too: it closes again, which does nothing."""
    script = (
        "import multiprocessing\n"
        "class OfTheChild(Recording):\n"
        "    def close(self): say('child')\n"
        "child = multiprocessing.get_context('fork').Process(target=lambda: process_exit.install(OfTheChild()))\n"
        "child.start(); child.join()"
    )
    words, status = run(script)
    assert (words.count("child") in {1, 2}, status) == (True, 0)


EMITTING = """
import django, os, signal, threading, time
django.setup()
from trace_streaming import TraceEmitter
from trace_streaming.recording.recorder import recorder
emitter = TraceEmitter('t')
for number in range(2000): emitter.emit('plan_created', {'number': number})
print(time.monotonic(), flush=True)
"""
WHILE_IT_STARTS = """
from trace_streaming.recording import recorder as module

def interrupted(thread):
    os.kill(os.getpid(), signal.SIGTERM)
    thread.start()

recorder.close()
module.start = interrupted
emitter.emit('plan_created')
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("script", "count"), [("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", 2000), (WHILE_IT_STARTS, 2001)]
)
def test_a_script_that_is_terminated_loses_nothing(tmp_path: Path, script: str, count: int) -> None:
    """The real recorder: what was emitted before SIGTERM is in the database, soon, also where it holds a lock."""
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    env["DJANGO_SETTINGS_MODULE"] = "cuga_site.settings"
    shutil.copy(migrated_file(), tmp_path / "db.sqlite3")
    ended = subprocess.run(
        [sys.executable, "-c", EMITTING + script], env=env, check=False, stdout=subprocess.PIPE, text=True
    )
    assert ended.returncode == -signal.SIGTERM
    assert time.monotonic() - float(ended.stdout) < HOLD_SECONDS
    counted = "from trace_streaming.models import Event; print(Event.objects.count())"
    shell = [sys.executable, "manage.py", "shell", "-v0", "-c", counted]
    assert subprocess.run(shell, env=env, check=True, capture_output=True, text=True).stdout.strip() == str(count)


HERE = "import django; django.setup(); from trace_streaming import TraceEmitter; emitter = TraceEmitter('t')\n"
ELSEWHERE = "from trace_streaming.remote import RemoteTraceEmitter; emitter = RemoteTraceEmitter('http://h', 'a')\n"
AT_THE_LAST = """
import os

class Last:
    def __del__(self):
        emitter.emit("plan_created")
        assert not emitter.stop_requested
        emitter.stream_text("call-1", "a piece ")
        os.write(1, b"emitted ")


last = Last()
"""


@pytest.mark.parametrize("where", [HERE, ELSEWHERE], ids=["here", "elsewhere"])
def test_what_is_emitted_while_python_is_taken_down_raises_nothing_and_waits_for_nothing(
    tmp_path: Path, where: str
) -> None:
    """Invariant 3: by a ``__del__``, after ``atexit``, when no thread begins any more."""
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    env["DJANGO_SETTINGS_MODULE"] = "cuga_site.settings"
    shutil.copy(migrated_file(), tmp_path / "db.sqlite3")
    command = [sys.executable, "-c", where + AT_THE_LAST]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "emitted "), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("no thread can be started") == 1


WITHOUT_END = """
import threading

text = "the password is hunter2-Xy9z " + "and it was a long story, " * 2_000
begun = threading.Semaphore(0)


def emit_for_ever():
    while True:
        emitter.emit("plan_created", {"text": text})
        emitter.stream_text("call-1", text)
        begun.release()


for _ in range(3):
    threading.Thread(target=emit_for_ever, daemon=True).start()
for _ in range(10):
    begun.acquire()
"""


def test_a_process_ends_well_whatever_its_daemon_threads_emit(tmp_path: Path) -> None:
    """Nothing that they are in the middle of aborts it when it comes back to a Python that has ended."""
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    env["DJANGO_SETTINGS_MODULE"] = "cuga_site.settings"
    shutil.copy(migrated_file(), tmp_path / "db.sqlite3")
    command = [sys.executable, "-c", HERE + WITHOUT_END]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


IN_THE_MIDDLE = """
import gc
from trace_streaming.emitting.event_factory import safe_details


class Last:
    def __init__(self):
        self.itself = self

    def __del__(self):
        safe_details({"n": 1}, trace_id="t")


for number in range(3_000):
    gc.set_threshold(number % 60 + 1, 1, 1)
    Last()
    safe_details({"n": number, "password": "hunter2"}, trace_id="t")
gc.set_threshold(700, 10, 10)
"""


def test_a_finalizer_may_emit_wherever_the_garbage_collector_runs_it() -> None:
    """Python 3.11 does so in the middle of C code, and crashes where that and this set a ``ContextVar``."""
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    done = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()" + IN_THE_MIDDLE],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
