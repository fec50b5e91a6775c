"""OpenLLMetry, of Traceloop, in the words of OpenTelemetry's conventions.

https://github.com/traceloop/openllmetry: models are told in OpenTelemetry's own words, of today or of earlier; all else
in ``traceloop.entity.…``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trace_streaming.conventions.values import Attributes, known, parsed

_OF_LANGCHAIN: Final = frozenset({"inputs", "input_str", "outputs", "output", "tags", "metadata", "kwargs"})
"""What its callbacks are called with."""


def details(said: Attributes, kind: str) -> dict[str, Any]:
    """What is said in these words; nothing where nothing is."""
    if kind == "llm_call":
        return known({"gen_ai.usage.cost": said.get("llm.usage.cost")})
    return known(
        {
            "args" if kind == "tool_call" else "input": inner(
                said.get("traceloop.entity.input"), "inputs", "input_str"
            ),
            "result": inner(said.get("traceloop.entity.output"), "outputs", "output"),
        }
    )


def inner(value: Any, *keys: str) -> Any:
    """What a text holds, without what LangChain's callbacks say beside it."""
    told = parsed(value)
    if isinstance(told, Mapping) and "kwargs" in told and _OF_LANGCHAIN.issuperset(told):
        told = next((told[key] for key in keys if told.get(key) is not None), told)
    return told
