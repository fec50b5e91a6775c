"""The frameworks behind one face: a scenario, run with an adapter, or without one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from agents import set_trace_processors

from tests.frameworks.expected import EXPECTED
from tests.frameworks.scenarios import langgraph, openai_agents, pydantic_ai
from tests.frameworks.trees import Node, parsed, unordered
from trace_streaming.integrations.langchain import TraceCallbackHandler
from trace_streaming.integrations.openai_agents import TraceProcessor
from trace_streaming.integrations.pydantic_ai import TraceCapability

SCENARIOS: dict[str, dict[str, Callable[..., Any]]] = {
    "langgraph": langgraph.SCENARIOS,
    "openai_agents": openai_agents.SCENARIOS,
    "pydantic_ai": pydantic_ai.SCENARIOS,
}
ADAPTERS: dict[str, Callable[..., Any]] = {
    "langgraph": TraceCallbackHandler,
    "openai_agents": TraceProcessor,
    "pydantic_ai": TraceCapability,
}


class Case(NamedTuple):
    """A scenario, and the tree that it must be."""

    framework: str
    scenario: str
    text: str
    is_unordered: bool

    def __str__(self) -> str:
        return f"{self.framework}-{self.scenario}"

    @property
    def expected(self) -> list[Node]:
        return self.ordered(parsed(self.text))

    def ordered(self, nodes: list[Node]) -> list[Node]:
        return unordered(nodes) if self.is_unordered else nodes

    def adapter(self, *args: Any, **options: Any) -> Any:
        return ADAPTERS[self.framework](*args, **options)

    def run(self, adapter: Any = None) -> Any:
        """In this thread, to the end; what it returns."""
        result = run(self.framework, SCENARIOS[self.framework][self.scenario], adapter)
        return asyncio.run(result) if inspect.iscoroutine(result) else result


def run(framework: str, function: Callable[..., Any], adapter: Any = None) -> Any:
    """Call a function with the adapter, as its framework's users would."""
    if framework == "langgraph":
        return function([] if adapter is None else [adapter])
    if framework == "pydantic_ai":
        return function(None if adapter is None else [adapter])
    set_trace_processors([] if adapter is None else [adapter])  # alone: the SDK's own would send to OpenAI
    return function(None if adapter is None else adapter.hooks)


def cases() -> Iterator[Case]:
    for framework, scenarios in EXPECTED.items():
        for name, text in scenarios.items():
            yield Case(framework, name.rstrip("*"), text, name.endswith("*"))


CASES = list(cases())
