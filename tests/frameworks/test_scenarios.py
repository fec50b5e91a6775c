"""Every scenario is the tree that it is, stored by both emitters; and at the same time as others."""

from __future__ import annotations

import asyncio
import inspect
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from agents import set_trace_processors
from pytest_django import Settings

from tests.frameworks.conftest import NewEmitter, stored
from tests.frameworks.frameworks import ADAPTERS, CASES, SCENARIOS, Case
from tests.frameworks.trees import Node, parsed, shown, tree, unordered
from trace_streaming import TraceEmitter
from trace_streaming.emitting.contract import Emitter

AT_ONCE = 4


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_run_is_the_tree_that_it_is(case: Case, new_emitter: NewEmitter) -> None:
    """Names, nesting and outcomes, as they are stored; an emitter that was given is not ended."""
    emitter = new_emitter()
    case.run(case.adapter(emitter))
    found = case.ordered(tree(stored(emitter)))
    assert found == case.expected, shown(found)
    assert not emitter.ended


TOOLS_ALONE = {
    "langgraph": "tool search ok|  tool lookup ok",
    "openai_agents": "tool lookup ok",
    "pydantic_ai": "tool lookup ok",
}


def test_without_agent_events_tools_are_shown_alone(
    new_emitter: NewEmitter, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether the project says so here or over its API; the log names the setting, once for an adapter or a server."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ()
    with caplog.at_level(logging.WARNING, "trace_streaming"):
        for case in [case for case in CASES if case.scenario == "sequential"]:
            emitter = new_emitter()
            case.run(case.adapter(emitter))
            found = tree(stored(emitter))
            assert found == parsed(TOOLS_ALONE[case.framework]), shown(found)
    lines = [each.getMessage() for each in caplog.records if "AGENT_EVENTS" in each.getMessage()]
    assert all("TRACE_STREAMING_EXTRA_EVENTS" in line for line in lines)
    assert len(lines) == (len(ADAPTERS) if new_emitter is TraceEmitter else 1)


def prepared(framework: str, **options: Any) -> Any:
    """One adapter for all runs, as a scenario takes it; it has no emitter."""
    adapter = ADAPTERS[framework](**options)
    if framework == "openai_agents":
        set_trace_processors([adapter])
        return adapter.hooks
    return [adapter]


async def call(case: Case, adapter: Any) -> None:
    scenario = SCENARIOS[case.framework][case.scenario]
    if inspect.iscoroutinefunction(scenario):
        await scenario(adapter)
    else:
        await asyncio.to_thread(scenario, adapter)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_runs_in_threads_keep_apart(case: Case, new_emitter: NewEmitter) -> None:
    """Four of the same with one adapter: each tells the emitter of the block that it runs in."""
    adapter = prepared(case.framework)

    def run() -> Emitter:
        with new_emitter() as emitter:
            asyncio.run(call(case, adapter))
        return emitter

    with ThreadPoolExecutor(AT_ONCE) as pool:
        emitters = [future.result(30) for future in [pool.submit(run) for _ in range(AT_ONCE)]]
    for emitter in emitters:
        found = case.ordered(tree(stored(emitter)))
        assert found == case.expected, shown(found)


@pytest.mark.parametrize("framework", ADAPTERS)
def test_one_adapter_serves_all_runs_of_a_loop(framework: str, new_emitter: NewEmitter) -> None:
    """Without any emitter each root run has a trace of its own; what was asked is answered where it was asked."""
    made: list[Emitter] = []

    def make(**options: Any) -> Emitter:
        made.append(new_emitter(**options))
        return made[-1]

    adapter = prepared(framework, new_emitter=make)
    cases = [case for case in CASES if case.framework == framework for _ in range(AT_ONCE)]

    async def run_all() -> None:
        await asyncio.gather(*(call(case, adapter) for case in cases))

    asyncio.run(run_all())
    traces = {emitter.trace_id: stored(emitter) for emitter in made}
    found = [unordered(tree(events)) for events in traces.values()]
    assert sorted(map(repr, found)) == sorted(map(repr, (each for case in cases for each in one_by_one(case))))


def one_by_one(case: Case) -> list[list[Node]]:
    """The trees of a scenario's root runs; a handoff is inside of one."""
    roots = case.expected
    return [unordered(roots)] if case.scenario == "handoffs" else [unordered([root]) for root in roots]
