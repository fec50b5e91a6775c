"""Every fault on every channel layer and database, under both servers: nothing is missing, repeated or out of order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.live.faults import OF_MARIADB, Fault, Part, Run, faults
from tests.live.reports import report
from tests.live.servers import KINDS
from tests.live.sites import LAYERS, Emitting, Log, Site
from tests.live.watching import V1, Watcher, all_have, watching

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.takes(seconds=40)]

ALL_LAYERS = ("none", *LAYERS)
QUICK = {("none", "SQLite"), ("pubsub", "PostgreSQL"), ("pubsub", "MariaDB")}
"""Where the baseline is part of `make test`."""


def row(layer: str, database: str, fault: str, exhaustive: bool = False) -> Any:
    """One, with its marks."""
    if fault == "none":
        marks = [] if (layer, database) in QUICK else [pytest.mark.thorough]
    else:
        marks = [pytest.mark.thorough, pytest.mark.exhaustive] if exhaustive else [pytest.mark.thorough]
    return pytest.param(layer, database, fault, marks=marks)


def rows(turn: int) -> Iterator[Any]:
    """Each fault on each database and each layer; `make test-all` has one of the layers, another one each turn."""
    for database in ("SQLite", "PostgreSQL"):
        turns = {fault: number for number, fault in enumerate(faults("pubsub", database), turn)}
        for layer in ALL_LAYERS:
            for fault in faults(layer, database):
                possible = [each for each in ALL_LAYERS if fault in faults(each, database)]
                yield row(layer, database, fault, exhaustive=layer != possible[turns[fault] % len(possible)])


# What differs on MariaDB is how connections end, and not what goes on around it.
ROWS = [
    *rows(turn=0),
    *(row("pubsub", "MariaDB", fault) for fault in ("none", "emitting process killed", *OF_MARIADB)),
]
MANY_ROWS = list(rows(turn=1))
SERVERS = {"PostgreSQL": "postgres_server", "MariaDB": "mariadb_server"}
LOOK_SECONDS = "0.25"
SOME = 30
"""Events that each watcher gets before the fault, and again after it."""
MANY_TRACES = 200
FEW = 5
"""The same, of many watchers."""
NOTHING_WRONG = {"missing": 0, "repeated": 0, "out of order": 0, "gaps": 0}


class Emitted(NamedTuple):
    """An event as its emitter knows it."""

    by: str
    number: int


class Stage:
    """One site at a time, for all rows of its layer and database, and the two processes that emit there.

    Where one of these ends in a row, its successor takes its place in the next.
    """

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.processes: list[Emitting] = []
        self._request = request
        self._folder = folder
        self._site: Site | None = None
        self._kind: tuple[str, str] | None = None

    async def site(self, layer: str, database: str) -> Site:
        if self._site is None or self._kind != (layer, database):
            await self.clear()
            redis = self._service("redis_server") if layer in LAYERS else None
            server = self._service(SERVERS[database]) if database in SERVERS else None
            folder = Path(mkdtemp(prefix=f"{layer}-{database}-", dir=self._folder))
            self._site = Site(folder, layer, redis, server, {"TEST_HEAD_CHECK_SECONDS": LOOK_SECONDS})
            self._kind = layer, database
            self._site.start()
            self.processes = [await self._site.start_emitting() for _ in range(2)]
        return self._site

    async def clear(self) -> None:
        processes, self.processes = self.processes, []
        site, self._site = self._site, None
        for process in processes:
            await process.end()
        if site is not None:
            site.stop()

    @asynccontextmanager
    async def left_as_found(self) -> AsyncIterator[None]:
        """Where a row breaks off, the next one begins with another site."""
        try:
            yield
        except BaseException:
            with suppress(Exception):  # what has happened to it is the row's to tell
                await self.clear()
            raise

    def _service(self, name: str) -> Any:
        service = self._request.getfixturevalue(name)
        service.start()
        return service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    stage = Stage(request, tmp_path_factory.mktemp("stage"))
    yield stage
    await stage.clear()


@pytest.mark.parametrize(("layer", "database", "fault"), ROWS)
async def test_whatever_fails_each_watcher_gets_each_event_once(
    stage: Stage, trace_id: str, layer: str, database: str, fault: str
) -> None:
    """Invariants 1 and 2, with the fault in the middle of a steady emission, while text streams beside it."""
    site = await stage.site(layer, database)
    own = [f"{trace_id}-{number}" for number in range(2)]
    parts = [Part(process, (trace_id, trace)) for process, trace in zip(stage.processes, own, strict=True)]
    watchers = site.watchers(trace_id, *own, comes_back=True)
    late = site.watchers(trace_id, comes_back=True)  # these get all of it
    logs = await play(stage, site, parts, watchers, late, faults(layer, database)[fault], SOME)
    judge("matrix", {"fault": fault, "channel layer": layer, "database": database}, logs, parts, [*watchers, *late])


@pytest.mark.parametrize(("layer", "database", "fault"), MANY_ROWS)
async def test_whatever_fails_each_of_many_traces_reaches_its_one_watcher(
    stage: Stage, trace_id: str, layer: str, database: str, fault: str
) -> None:
    """Invariants 1 and 2, as agents are: each with a user of its own. Some traces are both processes'."""
    site = await stage.site(layer, database)
    traces = [f"{trace_id}-{number}" for number in range(MANY_TRACES)]
    of_both = MANY_TRACES // 10
    halves = traces[: MANY_TRACES // 2 + of_both], traces[MANY_TRACES // 2 - of_both :]
    parts = [Part(process, half, pause=0.2) for process, half in zip(stage.processes, halves, strict=True)]
    kinds = itertools.cycle((server, profile) for server in site.servers for profile in (None, V1))
    watchers = [Watcher(server, trace, profile, comes_back=True) for trace, (server, profile) in zip(traces, kinds)]  # noqa: B905  one without end
    logs = await play(stage, site, parts, watchers, [], faults(layer, database)[fault], FEW)
    judge("many traces", {"fault": fault, "channel layer": layer, "database": database}, logs, parts, watchers)


async def play(
    stage: Stage,
    site: Site,
    parts: list[Part],
    watchers: Sequence[Watcher],
    late: Sequence[Watcher],
    fault: Fault,
    some: int,
) -> dict[str, Log]:
    """The fault in the middle, ``some`` events for each watcher before it and after it; all is received at the end.

    Text comes to all before it, where there is a channel layer.

    :param parts: what processes emit; those that others emit in their place are added
    :param late: who comes when it is over
    :returns: what is stored of the traces that are watched
    """
    async with stage.left_as_found(), watching(*watchers):
        run = Run(site, parts, watchers)
        for part in parts:
            await part.begin()
        await all_have(watchers, some)
        if site.redis is not None:  # text is of the moment: who reads the log, because of a fault, does without
            await asyncio.gather(*(watcher.told() for watcher in watchers if watcher.profile))
        await fault(run)
        async with watching(*late):
            everybody = [*watchers, *late]
            await asyncio.gather(*(watcher.has(len(watcher.received) + some) for watcher in everybody))
            going_on = [part for part in parts if not part.ended]
            for part in going_on:
                await part.finish()
            stage.processes = [part.process for part in going_on]
            logs = await asyncio.to_thread(site.logs, {watcher.trace_id for watcher in everybody})
            with suppress(TimeoutError):  # then the row says what is missing
                await asyncio.gather(*(watcher.has(len(logs[watcher.trace_id])) for watcher in everybody))
    return logs


def judge(
    table: str, what: Mapping[str, str], logs: Mapping[str, Log], parts: Sequence[Part], watchers: Sequence[Watcher]
) -> None:
    """Rows of a table, one for each server; and that nothing is wrong."""
    wrong = []
    for kind in KINDS:
        of_kind = [watcher for watcher in watchers if watcher.server.kind == kind]
        row = counted(of_kind, {trace: emitted(trace, logs[trace], parts) for trace in logs})
        report(table, {**what, "server": kind, **row})
        wrong.append({name: row[name] for name in NOTHING_WRONG})
    assert wrong == [NOTHING_WRONG for _ in KINDS]
    for log in logs.values():
        assert [sequence for sequence, _ in log] == list(range(1, len(log) + 1))


def emitted(trace: str, log: Sequence[tuple[int, dict[str, Any]]], parts: Sequence[Part]) -> set[Emitted]:
    """What must be there: of a process that was killed all that it knew to be stored, and all that is."""
    stored = [Emitted(**details) for _, details in log]
    return {
        Emitted(part.process.name, number)
        for part in parts
        if trace in part.traces
        for number in range(
            part.before + 1, max([part.last] + [event.number for event in stored if event.by == part.process.name]) + 1
        )
    }


def counted(watchers: Sequence[Watcher], emitted: dict[str, set[Emitted]]) -> dict[str, object]:
    """One row: sums over the watchers. What is stored twice is repeated, whatever its numbers."""
    sums = dict.fromkeys(("emitted", "received", *NOTHING_WRONG, "came back"), 0)
    for watcher in watchers:
        received = [Emitted(**event["details"]) for event in watcher.received]
        sums["emitted"] += len(emitted[watcher.trace_id])
        sums["received"] += len(received)
        sums["missing"] += len(emitted[watcher.trace_id] - set(received))
        sums["repeated"] += len(received) - len(set(received) & emitted[watcher.trace_id])
        sums["out of order"] += disorder([event["sequence"] for event in watcher.received])
        for by in {event.by for event in received}:
            sums["out of order"] += disorder([event.number for event in received if event.by == by])
        sums["gaps"] += watcher.gaps
        sums["came back"] += watcher.connections - 1
    longest = max(max(watcher.delays, default=0) for watcher in watchers)
    return {**sums, "longest wait (s)": f"{longest:.1f}"}


def disorder(numbers: Sequence[int]) -> int:
    """How often a smaller number follows a greater one."""
    return sum(after < before for before, after in pairwise(numbers))
