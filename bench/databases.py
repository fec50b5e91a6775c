"""Databases that are there for a row alone: migrated, and empty."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.live.services import Postgres, Redis

ROOT = Path(__file__).parent.parent


def migrate(url: str) -> None:
    env = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "bench.settings"}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=env, check=True)


@cache
def _migrated() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="bench-")
    migrate(f"sqlite:///{folder.name}/db.sqlite3")
    return folder


def sqlite_in(folder: Path) -> str:
    """The URL of a new one in the folder."""
    shutil.copy(Path(_migrated().name) / "db.sqlite3", folder)
    return f"sqlite:///{folder}/db.sqlite3"


@contextmanager
def sqlite() -> Iterator[str]:
    """A file."""
    with TemporaryDirectory(prefix="bench-") as folder:
        yield sqlite_in(Path(folder))


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server from its wheel."""
    with TemporaryDirectory(prefix="bench-") as folder:
        server = Postgres(Path(folder))
        try:
            server.start()
            migrate(server.url)
            yield server.url
            server.stop()
        finally:
            server.remove()


@contextmanager
def redis() -> Iterator[str]:
    """A Redis server from its wheel."""
    with TemporaryDirectory(prefix="bench-") as folder:
        server = Redis(Path(folder))
        server.start()
        try:
            yield server.url
        finally:
            server.stop()
