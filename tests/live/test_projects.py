"""Projects of others: the same requests, pages and sockets at each, on a real server, with the same answers."""

from __future__ import annotations

import ast
import asyncio
import pkgutil
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.live.projects import settings, visits
from tests.live.reports import report
from tests.live.servers import Server, migrated_file

NAMES = sorted(name for _, name, _ in pkgutil.iter_modules(settings.__path__) if name != "base")
KINDS = {name: ("daphne", "uvicorn")[index % 2] for index, name in enumerate(NAMES)}
"""Each is served by one of them: what a server does with a project is the same for all."""
WITH_TABLES_OF_THEIR_OWN = {"people_with_uuids", "popular_apps"}


class ProjectServer(Server):
    """Of one of the settings modules."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        super().__init__(KINDS[name], folder)

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "DJANGO_SETTINGS_MODULE": f"tests.live.projects.settings.{self.name}",
            "PYTHONWARNINGS": "default",
        }

    def migrate(self) -> None:
        if self.name in WITH_TABLES_OF_THEIR_OWN:
            self.manage("migrate", "-v0")
        else:
            shutil.copy(migrated_file(), self.folder / "db.sqlite3")
        if self.name == "manifest":
            self.manage("collectstatic", "--noinput", "-v0")


def different(name: str) -> str:
    """What a settings module says of itself; it is not run here, where other settings are."""
    source = (Path(settings.__path__[0]) / f"{name}.py").read_text()
    return ast.get_docstring(ast.parse(source)) or name


@pytest.fixture(params=NAMES)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProjectServer]:
    server = ProjectServer(request.param, tmp_path)
    server.start()
    yield server
    server.stop()
    assert "Traceback" not in server.log, server.log
    assert "Warning" not in server.log, server.log


@pytest.mark.thorough
@pytest.mark.takes(seconds=15)
async def test_a_project_is_served_as_all_others_are(project: ProjectServer) -> None:
    """Nothing of the app is in its way, and it is in the way of nothing of the app."""
    prefix = "/under" if project.name == "behind_a_proxy" else ""
    program, browser, nobody = await asyncio.to_thread(visits.people_of, project, prefix)
    await asyncio.to_thread(visits.doors, program, nobody)
    has_admin = project.name != "without_an_admin"
    seen = await asyncio.to_thread(visits.pages, browser, nobody, has_admin=has_admin)
    watched = await visits.sockets(program)
    await asyncio.to_thread(visits.stream, program)
    checked = await asyncio.to_thread(project.manage, "makemigrations", "--check", "--dry-run")
    assert "No changes detected" in checked.stdout
    told: Mapping[str, object] = {
        "what is different": different(project.name),
        "server": project.kind,
        "requests": program.asked + browser.asked + nobody.asked - seen,
        "pages and files": seen,
        "sockets": watched,
    }
    report("projects", told)
