"""Databases that are there for a row alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.live.services import Postgres, Redis


@contextmanager
def sqlite() -> Iterator[str]:
    """A file."""
    with TemporaryDirectory(prefix="bench-") as folder:
        yield f"sqlite:///{folder}/db.sqlite3"


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server from its wheel."""
    with TemporaryDirectory(prefix="bench-") as folder:
        server = Postgres(Path(folder))
        try:
            server.start()
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
