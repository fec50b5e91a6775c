"""One process asks and is killed; when a human has decided, another goes on, and the tool runs once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.frameworks import agent_process
from tests.frameworks.conftest import stored_of
from tests.frameworks.humans import Human
from trace_streaming.approvals import calling
from trace_streaming.models import Approval, Trace
from trace_streaming.recording.recorder import recorder

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]


def called() -> None:
    """All that decisions have to call was called."""
    while (thread := calling.caller._thread) is not None:
        thread.join(60)


@pytest.mark.parametrize("framework", agent_process.AGENTS)
@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_an_agent_is_resumed_elsewhere(
    framework: str, decision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the last of two decisions; being called again, or too early, does nothing."""
    monkeypatch.setattr(agent_process, "folder", tmp_path)
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    env["DATABASE_URL"] = f"sqlite:///{settings.DATABASES['default']['NAME']}"
    command = [sys.executable, "-m", "tests.frameworks.agent_process", framework, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said == b"asked\n"
    sent = tmp_path / "sent"
    first, second = Approval.objects.order_by("pk")
    assert sorted(each.arguments["to"] for each in (first, second)) == ["bob", "carol"]
    ada = Human({})
    assert ada.say(framework, first.approval_id, {"decision": decision}) == 200
    called()
    agent_process.resume(first.approval_id, framework)  # too early
    assert not sent.exists()
    assert ada.say(framework, second.approval_id, {"decision": "approved"}) == 200
    called()
    expected = sorted(["bob", "carol"] if decision == "approved" else [str(second.arguments["to"])])
    assert sorted(sent.read_text().split()) == expected
    agent_process.resume(second.approval_id, framework)  # as it may be called, once more
    assert sorted(sent.read_text().split()) == expected
    assert recorder.flush(60)
    assert not Approval.objects.filter(call_at__isnull=False).exists()
    assert Trace.objects.get().state == "success"
    names = [event["event"] for event in stored_of(framework)]
    assert (names.count("approval_requested"), names.count("approval_received")) == (2, 2)
