"""Owners on PostgreSQL, where a transaction that is still open hides a user from the writer."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.live.servers import ROOT
from tests.live.services import Postgres

SCRIPT = """
import time, uuid
import django
django.setup()
from django.contrib.auth.models import User
from django.db import transaction
from trace_streaming import TraceEmitter
from trace_streaming.models import Trace

def trace():
    return Trace.objects.select_related("owner").get(trace_id=name)

name = uuid.uuid4().hex
class RolledBack(Exception): pass
try:
    with transaction.atomic():
        user = User.objects.create_user(name)
        emitter = TraceEmitter(name, owner=user, metadata={"job": 7})
        emitter.emit("plan_created")
        assert emitter.flush(60)
        assert (trace().owner, trace().metadata, trace().lost_count) == (None, {"job": 7}, 0)
        if %r: raise RolledBack
except RolledBack:
    print("nobody"); raise SystemExit
for _ in range(100):
    if trace().owner == user: break
    time.sleep(0.1)  # the writer looks every two seconds, and tells nobody
print("owned" if trace().owner == user else "lost", trace().lost_count)
"""


@pytest.mark.parametrize(("is_rolled_back", "becomes"), [(False, "owned 0"), (True, "nobody")])
def test_an_owner_of_an_open_transaction_is_not_lost(postgres: Postgres, is_rolled_back: bool, becomes: str) -> None:
    """His trace is stored at once, with its metadata, and is his when he is committed."""
    environment = {**os.environ, "DATABASE_URL": postgres.url, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    command = [sys.executable, "-c", SCRIPT % is_rolled_back]
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, becomes), done.stderr
