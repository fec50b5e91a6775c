"""A process that may have no more threads for a while: nothing raises into the agent, and all goes on behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.servers import migrated_file
from tests.remote.ingest_servers import ScriptedServer

NO_THREADS = "import threading; threading.stack_size(2**60)\n"
"""More than there is: none is started."""
THREADS_AGAIN = "threading.stack_size(0)\n"
WHILE_THERE_ARE_NONE = """
emitter.emit("plan_created")
assert not emitter.flush()
assert not emitter.stop_requested
emitter.stream_text("call-1", "a piece ")
try:
    emitter.submit_approval("send_mail", timeout=60)
except RuntimeError:
    pass  # nobody would be told
else:
    raise AssertionError
"""
HERE = f"""
import django; django.setup()
from trace_streaming import TraceEmitter
from trace_streaming.models import Event
from trace_streaming.signals import text_streamed
from trace_streaming.storage.errands import Errand
{NO_THREADS}
emitter = TraceEmitter("t")
{WHILE_THERE_ARE_NONE}
done, told = threading.Event(), threading.Event()
errand = Errand(done.set, "trace-errand", "it fails (%s)")
errand.look()
{THREADS_AGAIN}
emitter.emit("plan_created")
assert emitter.flush(60)
assert Event.objects.filter(event="plan_created").count() == 2
errand.look()
assert done.wait(60)
text_streamed.connect(lambda **kwargs: told.set(), weak=False)
emitter.stream_text("call-2", "another piece ")
assert told.wait(60)
assert emitter.submit_approval("send_mail", timeout=0.1).result().decision == "timeout"
emitter.stop_requested
print({{"trace-stops", "trace-text", "trace-recorder"}} - {{thread.name for thread in threading.enumerate()}})
"""
ELSEWHERE = f"""
import sys
from trace_streaming.remote import RemoteTraceEmitter
{NO_THREADS}
emitter = RemoteTraceEmitter(sys.argv[1], "token", "t")
{WHILE_THERE_ARE_NONE}
assert not emitter._on_their_way
{THREADS_AGAIN}
emitter.emit("plan_created")
print(set() if emitter.flush(60) else None)
"""


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_what_needs_a_thread_begins_once_there_is_one(tmp_path: Path, is_elsewhere: bool) -> None:
    """Invariant 3: emitting does not fail. What waits is stored, and stops, texts and decisions are told again."""
    shutil.copy(migrated_file(), tmp_path / "db.sqlite3")
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    env["DJANGO_SETTINGS_MODULE"] = "cuga_site.settings"
    with ScriptedServer().serving() as server:
        command = [sys.executable, "-c", ELSEWHERE if is_elsewhere else HERE, server.url]
        done = subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr
    assert done.stderr.count("no thread can be started") == 1
    events = [event["event"] for _, body in server.requests for event in body["events"]]
    assert events == ["plan_created"] * 2 * is_elsewhere
