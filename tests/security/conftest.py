"""A daphne and a uvicorn process on one database, closed as they are by default, with their access logs on."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import browser as browser  # noqa: PLC0414  a fixture here, too
from tests.live.servers import KINDS, ROOT, Server
from tests.live.services import free_port


class ClosedServer(Server):
    """Of the app's own defaults."""

    options = {"daphne": ("--access-log", "-"), "uvicorn": ()}

    def __init__(self, kind: str, folder: Path, database: Path, allowed_port: int) -> None:
        self.database, self.allowed_port = database, allowed_port
        super().__init__(kind, folder)

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "DJANGO_SETTINGS_MODULE": "tests.security.settings",
            "TEST_ALLOWED_ORIGINS": f"http://127.0.0.1:{self.allowed_port}",
        }

    def migrate(self) -> None:
        """Done already, once for both."""

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, Any, Mapping[str, str]]:
        """The status, the JSON if it is any, and the headers of an answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, headers=dict(headers))
            response = connection.getresponse()
            body = response.read()
            is_json = response.getheader("Content-Type", "").startswith("application/json")
            return response.status, json.loads(body) if is_json else None, dict(response.getheaders())


@dataclass
class Closed:
    """The site that attackers come to."""

    servers: dict[str, ClosedServer]
    people: dict[str, Any]
    allowed_port: int
    """Pages of this port may use cookies."""
    shown: set[str] = field(default_factory=set)
    """Everything secret that was sent, which no log may have."""

    def write(self, sql: str, *values: object) -> None:
        """Change the database behind the servers' backs, as another process does."""
        with closing(sqlite3.connect(self.servers["daphne"].database, timeout=60)) as database, database:
            assert database.execute(sql, values).rowcount > 0, sql

    def session(self, name: str) -> dict[str, str]:
        key: str = self.people[name]["session"]
        self.shown.add(key)
        return {"Cookie": f"sessionid={key}"}

    def bearer(self, token: str) -> dict[str, str]:
        self.shown.add(token)
        return {"Authorization": f"Bearer {token}"}

    def token(self, token: str) -> dict[str, str]:
        self.shown.add(token)
        return {"Authorization": f"Token {token}"}

    async def ticket(self, kind: str, headers: Mapping[str, str], trace_id: str = "secret") -> str:
        """Asked for over HTTP, of one of the servers."""
        ask = self.servers[kind].ask
        status, answer, _ = await asyncio.to_thread(ask, "POST", f"/api/traces/{trace_id}/ticket", headers)
        assert status == 201, answer
        ticket: str = answer["ticket"]
        self.shown.add(ticket)
        return ticket


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """Used by many tests; in the end its logs are read."""
    folder = tmp_path_factory.mktemp("closed")
    database, allowed_port = folder / "db.sqlite3", free_port()
    for kind in KINDS:
        (folder / kind).mkdir()
    servers = {kind: ClosedServer(kind, folder / kind, database, allowed_port) for kind in KINDS}
    servers["daphne"].manage("migrate", "-v0")
    command = [sys.executable, "-m", "tests.security.people"]
    people = subprocess.run(command, cwd=ROOT, env=servers["daphne"].env, check=True, text=True, stdout=subprocess.PIPE)
    site = Closed(servers, json.loads(people.stdout), allowed_port)
    started: list[ClosedServer] = []
    try:
        for server in servers.values():
            server.start()
            started.append(server)
            server.ask("GET", "/ws/traces/secret", {})  # so that its log has something, whatever is tested
        yield site
    finally:
        for server in started:
            server.stop()
    for server in started:
        assert "/ws/traces/secret" in server.log  # it does log
        assert not [secret for secret in site.shown if secret in server.log]
        refused_by_admin = server.log.count("Forbidden (Permission denied)")  # Django logs how it came to that
        assert server.log.count("Traceback") == refused_by_admin, server.log
