"""Replays of a long trace, and what they do to those who watch another one live."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import quantiles

import pytest

from tests.live.conftest import StartSite
from tests.live.reports import report
from tests.live.servers import ROOT
from tests.live.sites import Worker
from tests.live.watching import V1, WAIT_SECONDS, Watcher, all_have, watching

pytestmark = [pytest.mark.thorough, pytest.mark.takes(seconds=25)]

LONG, WARM, LIVE = 100_000, 20, 300
"""Events of the trace that is replayed, and of the one that is watched meanwhile: first some that do not count."""
REPLAYS = [0, 1, 4, 16]
BOUND_SECONDS = 2.0
"""Far more than is measured: the machine has others to serve, too."""


@asynccontextmanager
async def replaying(server: Worker, trace_id: str, count: int) -> AsyncIterator[None]:
    """Another process replays the trace so many times at once, from its first event on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.live.replaying", server.url(trace_id, since=0), str(LONG), str(count)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            for _ in range(count):
                assert await process.stdout.readline() == b"replaying\n"
        yield
        assert count == 0 or process.returncode is None
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_replays_of_a_long_trace_do_not_hold_up_who_watches_another_live(
    start_site: StartSite, trace_id: str
) -> None:
    """Invariant 6: replay runs beside live delivery."""
    site = start_site("pubsub")
    long = f"{trace_id}-long"
    filling = [sys.executable, "-m", "tests.live.filling", long, str(LONG)]
    await asyncio.to_thread(subprocess.run, filling, cwd=ROOT, env=site.servers[0].env, check=True)
    slowest = []
    async with site.emitting() as (process,):
        for server in site.servers:
            for count in REPLAYS:
                watchers = [Watcher(server, f"{trace_id}-{server.kind}-{count}", profile) for profile in (None, V1)]
                async with watching(*watchers), replaying(server, long, count):
                    await process.emit(watchers[0].trace_id, count=WARM, pause=0.01)  # connections are made now
                    await process.stored()
                    await process.emit(watchers[0].trace_id, count=LIVE, pause=0.01)
                    await process.stored()
                    await all_have(watchers, WARM + LIVE)
                for watcher in watchers:
                    watcher.got_each_once(WARM + LIVE)
                percent = quantiles([delay for watcher in watchers for delay in watcher.delays[WARM:]], n=100)
                slowest.append(percent[98])
                report(
                    "replays",
                    {
                        "server": server.kind,
                        "replays at once": count,
                        "live delay, median (ms)": f"{percent[49] * 1000:.1f}",
                        "99 of 100 within (ms)": f"{percent[98] * 1000:.1f}",
                    },
                )
    assert max(slowest) < BOUND_SECONDS
