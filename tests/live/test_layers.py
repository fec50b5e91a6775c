"""Channel layers that projects use: from another process, nothing is missing, repeated or out of order; how soon."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.live.conftest import StartSite
from tests.live.reports import report
from tests.live.servers import migrate
from tests.live.services import Postgres, Redis
from tests.live.watching import all_have, watching

pytestmark = pytest.mark.takes(seconds=15)

Layer = dict[str, Any]
Request = pytest.FixtureRequest
FIRST, COUNT = 20, 320
"""Events; with the first, a process imports the layer and connects."""


def pubsub(*redis: Redis) -> Layer:
    hosts = [{"address": each.url, "socket_timeout": None} for each in redis]
    return {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": hosts}}


def core(redis: Redis) -> Layer:
    return {**pubsub(redis), "BACKEND": "channels_redis.core.RedisChannelLayer"}


def valkey(redis: Redis) -> Layer:
    """Redis takes what Valkey's client says."""
    hosts = [{"address": redis.url.replace("redis:", "valkey:"), "socket_timeout": None}]
    return {"BACKEND": "channels_valkey.pubsub.ValkeyPubSubChannelLayer", "CONFIG": {"hosts": hosts}}


def postgres(server: Postgres) -> Layer:
    """Its own tables, beside ours."""
    where = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres"}
    config = {**where, "PASSWORD": "", "TIME_ZONE": "UTC", "HOST": "127.0.0.1", "PORT": str(server.port)}
    layer = {"BACKEND": "channels_postgres.core.PostgresChannelLayer", "CONFIG": config}
    settings = "tests.live.settings_processes"
    migrate({"DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": settings, "TEST_LAYER": json.dumps(layer)})
    return layer


LAYERS: dict[str, Callable[[Request], Layer]] = {
    "in memory": lambda _: {"BACKEND": "channels.layers.InMemoryChannelLayer"},
    "Redis, pub/sub": lambda asked: pubsub(asked.getfixturevalue("redis")),
    "Redis, pub/sub on two hosts": lambda asked: pubsub(*map(asked.getfixturevalue, ("redis", "second_redis"))),
    "Redis, core": lambda asked: core(asked.getfixturevalue("redis")),
    "Valkey's, pub/sub": lambda asked: valkey(asked.getfixturevalue("redis")),
    "PostgreSQL": lambda asked: postgres(asked.getfixturevalue("postgres")),
}


@pytest.mark.parametrize("name", LAYERS)
async def test_another_process_is_watched_through_it(
    request: Request, start_site: StartSite, postgres_server: Postgres, trace_id: str, name: str
) -> None:
    """On both servers, with each profile; events come one by one, as an agent's do."""
    load = os.getloadavg()[0]
    site = start_site("none", database=postgres_server, TEST_LAYER=json.dumps(LAYERS[name](request)))
    async with site.emitting() as (process,), watching(*site.watchers(trace_id, comes_back=True)) as watchers:
        await process.emit(trace_id, count=COUNT, pause=0.01)
        await process.stored()
        await all_have(watchers, COUNT)
    for watcher in watchers:
        watcher.got_each_once(COUNT)
    for server in site.servers:
        assert "The channel layer fails" not in server.log, server.log
    first, then = (
        sorted(delay * 1000 for watcher in watchers for delay in watcher.delays[part])
        for part in (slice(FIRST), slice(FIRST, None))
    )
    median, late = (then[len(then) * percent // 100] for percent in (50, 99))
    row = {"channel layer": name, "events received": len(then), "p50, ms": f"{median:.1f}", "p99, ms": f"{late:.1f}"}
    row |= {f"longest of the first {FIRST}, ms": f"{first[-1]:.0f}"}
    report("channel layers", row | {"measured": f"{datetime.now(UTC):%Y-%m-%d}", "load before": f"{load:.1f}"})
