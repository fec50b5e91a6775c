"""The README, followed to the letter: the built wheel in an empty Django project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect

from tests.live.servers import Server

pytestmark = pytest.mark.takes(seconds=15)

ROOT = Path(__file__).resolve().parents[2]
SESSION = """
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
user, _ = get_user_model().objects.get_or_create(username="ada")
"""
LOGIN = """
session = SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session.save()
print(session.session_key)
"""


def section(title: str) -> str:
    return (ROOT / "README.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]


def python_blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and installed apart from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "trace_streaming", source / "trace_streaming", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("django_trace_streaming-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


class Project(Server):
    """An empty project with what the README says, and nothing else."""

    application = "mysite.asgi:application"

    def __init__(self, folder: Path, site_packages: Path) -> None:
        self.site_packages = site_packages
        self.project = folder / "project"
        self.project.mkdir()
        command = [sys.executable, "-m", "django", "startproject", "mysite", "."]
        subprocess.run(command, cwd=self.project, env=self.environment(), check=True)
        for block in python_blocks(section("Add it to your project")):
            if path := re.match(r"# (mysite/\w+\.py)\n", block):
                file = self.project / path[1]
                file.write_text(block if file.name == "asgi.py" else file.read_text() + block)
        super().__init__("daphne", folder)

    def migrate(self) -> None:
        self.manage("migrate", "-v0")

    def environment(self) -> dict[str, str]:
        ours = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE", "REDIS_URL")
        inherited = {name: value for name, value in os.environ.items() if name not in ours}
        return {**inherited, "PYTHONPATH": str(self.site_packages)}


@pytest.fixture
def project(tmp_path: Path, site_packages: Path) -> Iterator[Project]:
    project = Project(tmp_path, site_packages)
    project.start()
    yield project
    project.stop()
    assert "Traceback" not in project.log, project.log


async def test_an_empty_project_that_follows_the_readme(project: Project, site_packages: Path) -> None:
    """The installed wheel serves, stores, replays to the owner, and turns strangers away."""
    where = project.manage("shell", "-v0", "-c", "import trace_streaming; print(trace_streaming.__file__)").stdout
    assert where.startswith(str(site_packages))
    assert project.get("/ws/health")["status"] == "healthy"
    example = python_blocks(section("Add it to your project"))[-1]
    assert "with TraceEmitter(owner=user)" in example
    emit = f"{SESSION}\n{example}\nprint(emitter.trace_id)\n{LOGIN}"
    page, trace_id, cookie = project.manage("shell", "-v0", "-c", emit).stdout.split()
    assert page == f"/dashboard/traces/{trace_id}"
    async with connect(project.url(trace_id, since=0)) as stranger:
        assert orjson.loads(await stranger.recv())["details"]["code"] == 4401
    headers: Any = {"Cookie": f"sessionid={cookie}"}
    async with connect(project.url(trace_id, since=0), additional_headers=headers) as owner:
        frames = [orjson.loads(await owner.recv()) for _ in range(4)]
        assert [frame["event"] for frame in frames] == [
            "connected",
            "plan_created",
            "tool_call_start",
            "tool_call_complete",
        ]
        assert frames[3]["details"]["result"] == {"found": ["fields.py:1474"]}


def test_adding_it_takes_under_thirty_lines() -> None:
    """Settings and both routes."""
    blocks = python_blocks(section("Add it to your project"))
    lines = [line for block in blocks[:-1] for line in block.splitlines() if line.strip()]
    assert len(lines) < 30
