"""Fixtures of the live tests: real servers, real Redis, PostgreSQL and MariaDB."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.live.servers import KINDS, Server, migrate, no_connections, started
from tests.live.services import Postgres, Redis, Service
from tests.live.sites import LAYERS, Site
from tests.live.system_services import MariaDB, PgBouncer

# A shell that runs the tests in the background has them ignore SIGINT, and with them every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """One of each kind, started when it is first asked for: not again where a test of the other kind comes between."""
    with ExitStack() as stack:
        yield cache(lambda kind: stack.enter_context(contextmanager(started)(kind, tmp_path_factory.mktemp(kind))))


@pytest.fixture(params=KINDS)
async def server(request: pytest.FixtureRequest, shared_servers: Callable[[str], Server]) -> AsyncIterator[Server]:
    """A server that other tests use too. Invariant 7: after each test it has no connections."""
    server = shared_servers(request.param)
    yield server
    await no_connections(server)


@pytest.fixture(params=KINDS)
def server_kind(request: pytest.FixtureRequest) -> str:
    """Of a server that a test has for itself."""
    return str(request.param)


@pytest.fixture
def own_server(server_kind: str, tmp_path: Path) -> Iterator[Server]:
    """A server that a test may kill."""
    yield from started(server_kind, tmp_path)


@pytest.fixture
def trace_id(request: pytest.FixtureRequest) -> str:
    """An id that no other test uses: long names differ at their ends."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)[-100:].strip("-")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    redis = Redis(tmp_path_factory.mktemp("redis"))
    yield redis
    redis.stop()


@pytest.fixture
def redis(redis_server: Redis) -> Redis:
    """Running, whatever the test before did to it."""
    redis_server.start()
    return redis_server


@pytest.fixture(scope="session")
def second_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    redis = Redis(tmp_path_factory.mktemp("second-redis"))
    redis.start()
    yield redis
    redis.stop()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    postgres = Postgres(tmp_path_factory.mktemp("postgres"))
    try:
        postgres.start()
        migrate({"DATABASE_URL": postgres.url})
        yield postgres
        postgres.stop()
    finally:
        postgres.remove()


@pytest.fixture
def postgres(postgres_server: Postgres) -> Postgres:
    """Running, whatever the test before did to it."""
    postgres_server.start()
    return postgres_server


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    mariadb = MariaDB(tmp_path_factory.mktemp("mariadb"))
    try:
        mariadb.start()
        migrate({"DATABASE_URL": mariadb.url})
        yield mariadb
        mariadb.stop()
    finally:
        mariadb.remove()


@pytest.fixture
def mariadb(mariadb_server: MariaDB) -> MariaDB:
    """Running, whatever the test before did to it."""
    mariadb_server.start()
    return mariadb_server


@pytest.fixture
def pgbouncer(postgres: Postgres, tmp_path: Path) -> Iterator[PgBouncer]:
    pgbouncer = PgBouncer(tmp_path, postgres)
    pgbouncer.start()
    yield pgbouncer
    pgbouncer.stop()


StartSite = Callable[..., Site]


@pytest.fixture
def start_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartSite]:
    """Starts the serving processes on a layer.

    ``pubsub`` goes with PostgreSQL, ``core`` with PostgreSQL and a connection pool, ``none`` with SQLite.
    """
    sites: list[Site] = []

    def start(layer: str, *, kinds: Sequence[str] = KINDS, database: Service | None = None, **environment: str) -> Site:
        redis = request.getfixturevalue("redis") if layer in LAYERS else None
        server = database or (request.getfixturevalue("postgres") if layer in LAYERS else None)
        sites.append(Site(tmp_path, layer, redis, server, environment, kinds))
        sites[0].start()
        return sites[0]

    yield start
    for site in sites:
        site.stop()
