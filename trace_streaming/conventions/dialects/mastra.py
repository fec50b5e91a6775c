"""Mastra in the words of OpenTelemetry's conventions: it speaks these, but for what agents and steps are given.

https://mastra.ai/docs/observability/tracing/exporters/otel
"""

from __future__ import annotations

from typing import Any, Final

from trace_streaming.conventions.values import Attributes, known, parsed, text

_SPAN_TYPE: Final = "mastra.span.type"


def details(said: Attributes, kind: str) -> dict[str, Any]:
    """What is said in these words; nothing where nothing is."""
    if not (span_type := text(said, _SPAN_TYPE)) or kind in {"llm_call", "tool_call"}:
        return {}
    given, answer = (said.get(f"mastra.{span_type}.{which}") for which in ("input", "output"))
    return known({"input": parsed(given), "result": parsed(answer)})


def is_told(key: str) -> bool:
    """Whether it is an attribute that is told under another name."""
    return key == _SPAN_TYPE or (key.startswith("mastra.") and key.endswith((".input", ".output")))
