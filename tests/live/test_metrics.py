"""What Prometheus reads of several processes adds up, and its gauges come back to zero."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from tests.live.conftest import StartSite
from tests.live.faults import Run, redis_is_away, sqlite_is_locked
from tests.live.servers import KINDS
from tests.live.sites import Worker
from tests.live.watching import all_have, watching

COUNT = 600
GAUGES = (
    *("open_connections_plain", "open_connections_v1", "subscriptions_behind", "queue_records", "spool_records"),
    "head_check_age_seconds",
)


def scraped(server: Worker) -> dict[str, float]:
    """All samples by their name; those of one metric with several labels together."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as response:
        text = response.read().decode()
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix("trace_streaming_")
            samples[name] = samples.get(name, 0.0) + sample.value
    return samples


@pytest.mark.takes(seconds=15)
@pytest.mark.parametrize("kinds", [pytest.param(["daphne", "daphne"], marks=pytest.mark.thorough), KINDS], ids="-".join)
@pytest.mark.parametrize("layer", ["pubsub", "none"])
async def test_what_several_processes_count_adds_up_after_a_fault(
    start_site: StartSite, tmp_path: Path, trace_id: str, layer: str, kinds: Sequence[str]
) -> None:
    """Redis goes and comes back, or the database is locked and events wait in files; then all are delivered.

    emitted = recorded + shed + spooled and left; delivered + filtered = recorded x watchers.
    """
    folder = tmp_path / "metrics"
    folder.mkdir()
    spool = {"TEST_SPOOL_DIR": str(tmp_path / "spool")} if layer == "none" else {}
    site = start_site(layer, kinds=kinds, PROMETHEUS_MULTIPROC_DIR=str(folder), TEST_HEAD_CHECK_SECONDS="1", **spool)
    any_server = site.servers[0]
    unwanted = [server.url(trace_id, since=0, events="tool_call_error") for server in site.servers]
    async with site.emitting() as (process,), AsyncExitStack() as stack:
        watchers = await stack.enter_async_context(watching(*site.watchers(trace_id)))
        for url in unwanted:
            await stack.enter_async_context(connect(url))
        await process.emit(trace_id, count=COUNT, pause=0.005)
        await all_have(watchers, 1)  # the fault comes while it emits, not while it begins
        run = Run(site, [], watchers)
        await (redis_is_away(run) if layer == "pubsub" else sqlite_is_locked(run))
        await process.stored()
        await all_have(watchers, COUNT)
        expected = COUNT * (len(watchers) + len(unwanted))
        async with asyncio.timeout(60):
            while True:  # counters of other processes are told every second
                found = await asyncio.to_thread(scraped, any_server)
                if found["events_delivered_total"] + found["events_filtered_total"] >= expected:
                    break
                await asyncio.sleep(0.1)  # between looks at what nobody announces
        assert (found["open_connections_plain"], found["open_connections_v1"]) == (4, 2)
    async with asyncio.timeout(60):
        while any(found[gauge] for gauge in GAUGES) or found["closes_total"] < 6:
            await asyncio.sleep(0.1)  # between looks at what nobody announces
            found = await asyncio.to_thread(scraped, site.servers[1])
    assert found["events_emitted_total"] == COUNT
    assert found["events_recorded_total"] + found["events_shed_total"] + found["spool_records"] == COUNT
    assert found["events_shed_total"] == 0
    assert found["events_delivered_total"] == COUNT * len(watchers)
    assert found["events_filtered_total"] == COUNT * len(unwanted)
    assert (found["events_spooled_total"] > 0) == bool(spool)
    assert found["connections_total"] == 6
    assert found["commit_seconds_count"] > 0
    assert found["catch_ups_total"] > 0 or layer == "none"
