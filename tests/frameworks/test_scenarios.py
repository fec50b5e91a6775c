"""Every scenario is the tree that it is, stored by both emitters; and at the same time as others."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from agents import set_trace_processors

from tests.frameworks.conftest import NewEmitter, stored
from tests.frameworks.frameworks import ADAPTERS, CASES, SCENARIOS, Case
from tests.frameworks.trees import Node, shown, tree, unordered
from trace_streaming import TraceEmitter
from trace_streaming.testing import capture_events

AT_ONCE = 4


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_run_is_the_tree_that_it_is(case: Case, new_emitter: NewEmitter) -> None:
    """Names, nesting and outcomes, as they are stored; an emitter that was given is not ended."""
    emitter = new_emitter()
    case.run(case.adapter(emitter))
    found = case.ordered(tree(stored(emitter)))
    assert found == case.expected, shown(found)
    assert not emitter.ended


def prepared(framework: str) -> Any:
    """One adapter for all runs, as a scenario takes it; it has no emitter."""
    adapter = ADAPTERS[framework]()
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
def test_runs_in_threads_keep_apart(case: Case) -> None:
    """Four of the same with one adapter: each tells the emitter of the block that it runs in."""
    adapter = prepared(case.framework)

    def run() -> TraceEmitter:
        with TraceEmitter() as emitter:
            asyncio.run(call(case, adapter))
        return emitter

    with capture_events(), ThreadPoolExecutor(AT_ONCE) as pool:
        emitters = [future.result(30) for future in [pool.submit(run) for _ in range(AT_ONCE)]]
    for emitter in emitters:
        found = case.ordered(tree(emitter.events))
        assert found == case.expected, shown(found)


@pytest.mark.parametrize("framework", ADAPTERS)
def test_one_adapter_serves_all_runs_of_a_loop(framework: str) -> None:
    """Without any emitter each root run has a trace of its own; what was asked is answered where it was asked."""
    adapter = prepared(framework)
    cases = [case for case in CASES if case.framework == framework for _ in range(AT_ONCE)]

    async def run_all() -> None:
        await asyncio.gather(*(call(case, adapter) for case in cases))

    with capture_events() as events:
        asyncio.run(run_all())
    traces: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        traces.setdefault(event["trace_id"], []).append(event)
    found = [unordered(tree(of_one)) for of_one in traces.values()]
    assert sorted(map(repr, found)) == sorted(map(repr, (each for case in cases for each in one_by_one(case))))


def one_by_one(case: Case) -> list[list[Node]]:
    """The trees of a scenario's root runs; a handoff is inside of one."""
    roots = case.expected
    return [unordered(roots)] if case.scenario == "handoffs" else [unordered([root]) for root in roots]
