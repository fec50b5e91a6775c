"""The how-to guides and the commands, as they stand in the documentation."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.live.servers import ROOT, Server
from tests.live.services import free_port

pytestmark = pytest.mark.takes(seconds=40)

HOWTO = (ROOT / "docs" / "howto.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
SHOW = """
const shown = [];
const show = (event) => shown.push(event.event);
const HOST = process.env.HOST;
%s
source.addEventListener("ended", () => console.log(shown.join()));
"""


def section(title: str) -> str:
    return HOWTO.split(f"## {title}\n")[1].split("\n## ")[0]


def block(title: str, language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", section(title), re.DOTALL)
    return str(found)


def commands(text: str) -> list[str]:
    return re.findall(r"^\$ (.*)$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server, and the environment that the examples want."""
    server = Server("uvicorn", tmp_path_factory.mktemp("howto"))
    server.manage("createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.com")
    token = server.manage("drf_create_token", "ada").stdout.split()[2]
    server.start()
    host = f"http://127.0.0.1:{server.port}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    yield server, {**server.env, "HOST": host, "TOKEN": token, "TRACE_STREAMING_TOKEN": token, "PATH": path}
    server.stop()


@pytest.fixture(autouse=True)
def _each_begins_anew(site: tuple[Server, dict[str, str]]) -> None:
    """The guides call their traces alike."""
    with closing(sqlite3.connect(site[0].folder / "db.sqlite3", timeout=60)) as database, database:
        for table in ("event", "approval", "trace"):
            database.execute(f"DELETE FROM trace_streaming_{table}")


def bash(command: str, env: dict[str, str], cwd: Path = ROOT) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, (command, done.stderr, done.stdout)
    return done.stdout


async def test_the_doors_of_a_terminal_and_a_page(site: tuple[Server, dict[str, str]]) -> None:
    """curl makes a trace; curl, a socket with websocat's words, and an EventSource see it."""
    _, env = site
    outputs = [await asyncio.to_thread(bash, command, env) for command in commands(section("curl"))]
    assert json.loads(outputs[0])["stored"]
    assert "event: ended" in outputs[2]
    (websocat,) = commands(section("websocat"))
    header, url = re.findall(r'"(.*?)"', websocat)
    name, value = header.replace("$TOKEN", env["TOKEN"]).split(": ")
    sockets = env["HOST"].replace("http", "ws")
    async with connect(url.replace("$SOCKETS", sockets), additional_headers={name: value}) as socket:
        assert [json.loads(await socket.recv())["event"] for _ in range(2)] == ["connected", "plan_created"]
    if shutil.which("node") is None:
        pytest.skip("node is needed for the JavaScript example")
    script = SHOW % block("JavaScript", "javascript")
    process = await asyncio.create_subprocess_exec(
        *("node", "--experimental-eventsource", "-e", script), env=env, stdout=subprocess.PIPE
    )
    assert (await asyncio.wait_for(process.communicate(), 60))[0] == b"plan_created\n"


def test_the_emitter_of_the_readme(site: tuple[Server, dict[str, str]]) -> None:
    """In a process without Django."""
    server, env = site
    text = (ROOT / "README.md").read_text().split("## From elsewhere")[1].split("\n## ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    script = f"token = {env['TOKEN']!r}\n{example}\nprint(emitter.trace_id)".replace("https://example.com", env["HOST"])
    plain = {name: value for name, value in env.items() if not name.startswith("DJANGO")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=plain, capture_output=True, text=True, timeout=120, check=True
    )
    trace = server.get(f"/api/traces/{done.stdout.strip()}")
    assert (trace["state"], trace["event_count"]) == ("success", 1)


def test_a_celery_task(site: tuple[Server, dict[str, str]]) -> None:
    """Run at once, in the project."""
    server, _ = site
    script = block("Celery", "python") + (
        'import celery\ncelery.current_app.conf.task_always_eager = True\nprint(research.delay("c-1", "tides?").get())'
    )
    assert server.manage("shell", "-v0", "-c", script).stdout == "True\n"
    assert server.get("/api/traces/c-1")["state"] == "success"


class TasksServer(Server):
    """Its tasks wait in its database."""

    def __init__(self, folder: Path) -> None:
        super().__init__("uvicorn", folder)

    def environment(self) -> dict[str, str]:
        changes = {"DJANGO_SETTINGS_MODULE": "tests.live.settings_tasks", "PYTHONPATH": str(self.folder)}
        return {**super().environment(), **changes}

    def migrate(self) -> None:
        self.manage("migrate", "-v0")


def test_a_task_of_django(tmp_path: Path) -> None:
    """Enqueued by one process, run by a worker; before Django 6.0 by what it was made of."""
    pytest.importorskip("django_tasks_db")
    server = TasksServer(tmp_path)
    source = block("Django's tasks", "python")
    if find_spec("django.tasks") is None:
        source = source.replace("from django.tasks import task", "from django_tasks import task")
    (tmp_path / "agents.py").write_text(source)
    server.manage("shell", "-c", "from agents import research; research.enqueue('d-1', 'tides?')")
    server.manage(*commands(section("Django's tasks"))[0].split()[2:], "--batch", "--no-startup-delay")
    server.manage("export_trace", "d-1", "--output", str(tmp_path / "d-1.jsonl"))
    events = [json.loads(line)["event"] for line in (tmp_path / "d-1.jsonl").read_text().splitlines()]
    assert events == ["plan_created", "tool_call_start", "tool_call_complete"]
    status = "import django_tasks_db.models as m; print(m.DBTaskResult.objects.get().status)"
    assert "SUCCE" in server.manage("shell", "-v0", "-c", status).stdout


def test_an_orchestrator_elsewhere(site: tuple[Server, dict[str, str]], tmp_path: Path) -> None:
    """FastAPI without Django's settings; what it has emitted is there when it has ended."""
    pytest.importorskip("fastapi")
    server, env = site
    (tmp_path / "orchestrator.py").write_text(block("An orchestrator elsewhere", "python"))
    port = free_port()
    plain = {name: value for name, value in env.items() if not name.startswith(("DJANGO", "DATABASE"))}
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "orchestrator:app"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**plain, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        while "running on" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        request = urllib.request.Request(f"http://127.0.0.1:{port}/runs?question=tides", method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            trace_id = json.load(answer)["trace_id"]
    finally:
        process.terminate()
        process.communicate(timeout=60)
    events = [event["event"] for event in server.get(f"/api/traces/{trace_id}/events")["events"]]
    assert events == ["plan_created", "tool_call_start", "tool_call_complete"]
    assert server.get(f"/api/traces/{trace_id}")["state"] == "success"


def test_the_commands(site: tuple[Server, dict[str, str]], tmp_path: Path) -> None:
    """One after the other; files are written where they are run."""
    server, env = site
    details = json.dumps({"tool": "search"})
    make = (
        f"python manage.py emit_trace_event t-1 tool_call_complete --details '{details}' --status success --end success"
    )
    bash(make, env)
    outputs = [
        bash(command.replace("manage.py", str(ROOT / "manage.py")), env, tmp_path) for command in commands(COMMANDS)
    ]
    assert all("tool_call_complete" in output for output in outputs[:3])
    assert "plan_created" in json.dumps(server.get("/api/traces/t-3/events"))
    assert json.loads((tmp_path / "t-1.trace.json").read_text())["traceEvents"]
    assert server.get("/api/traces/t-4")["event_count"] == server.get("/api/traces/t-1")["event_count"]
    assert server.get("/api/traces/t-2")["state"] == "success"
