"""Which spans are an agent's, and what they are here: by what they say, else by their names.

What says nothing of an agent, such as a request over HTTP or a query, is none of an agent's.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from .dialects import google_adk, langfuse, langsmith, open_inference
from .otel_spans import OtelSpan
from .values import text

AGENT, MODEL, TOOL, STEP = "agent", "llm_call", "tool_call", "step"
KINDS: Final = frozenset({AGENT, MODEL, TOOL, STEP})


class Shape(NamedTuple):
    """What a span is here."""

    kind: str
    """``agent``, ``llm_call``, ``tool_call`` or ``step``."""
    step: str = ""
    """Of a step, what it is; as :meth:`.Emitter.step` has it."""


_AGENT, _MODEL, _TOOL = Shape(AGENT), Shape(MODEL), Shape(TOOL)
_OPERATIONS: Final = {
    **dict.fromkeys(("chat", "text_completion", "generate_content", "completion"), _MODEL),
    **dict.fromkeys(("chat.completions", "text.completions"), _MODEL),  # Semantic Kernel's
    **dict.fromkeys(("acompletion", "atext_completion", "responses", "aresponses", "anthropic_messages"), _MODEL),
    **dict.fromkeys(("invoke_agent", "invoke_workflow", "workflow"), _AGENT),
    "execute_tool": _TOOL,
    **dict.fromkeys(("embeddings", "embedding", "aembedding"), Shape(STEP, "embedding")),
    **dict.fromkeys(("rerank", "arerank"), Shape(STEP, "rerank")),
    "retrieval": Shape(STEP, "retrieval"),
    "plan": Shape(STEP, "plan"),
    "create_agent": Shape(STEP, "create_agent"),
    "execute_task": Shape(STEP, "node"),
}
"""``gen_ai.operation.name``, LiteLLM's names of calls among them; another word is a step's, or an agent's, as
``invoke_swarm``."""
_OPEN_INFERENCE: Final = {
    "LLM": _MODEL,
    "TOOL": _TOOL,
    "AGENT": _AGENT,
    "RETRIEVER": Shape(STEP, "retrieval"),
    "RERANKER": Shape(STEP, "rerank"),
    "EMBEDDING": Shape(STEP, "embedding"),
    "GUARDRAIL": Shape(STEP, "guardrail"),
    "EVALUATOR": Shape(STEP, "evaluation"),
}
"""``openinference.span.kind``; all others are chains."""
_LANGFUSE: Final = {
    "generation": _MODEL,
    "tool": _TOOL,
    "agent": _AGENT,
    "span": Shape(STEP),
    "retriever": Shape(STEP, "retrieval"),
    "evaluator": Shape(STEP, "evaluation"),
}
"""``langfuse.observation.type``; another word is a step's."""
_LANGSMITH: Final = {"llm": _MODEL, "tool": _TOOL, "retriever": Shape(STEP, "retrieval")}
"""``langsmith.span.kind``; another word is a step's."""
_TRACELOOP: Final = {"workflow": _AGENT, "agent": _AGENT, "tool": _TOOL, "task": Shape(STEP, "node")}
_VERCEL_MODEL: Final = frozenset({"doGenerate", "doStream"})
_NAMES: Final = re.compile(
    r"(chat|text_completion|generate_content|invoke_agent|invoke_workflow|execute_tool|embeddings|create_agent)"
    r"(?: ([^/].*))?|(?:MCP send )?tools/call (\S+)",
    re.DOTALL,
)
"""Names of spans as the conventions have them: the operation, and of what."""
_OF_MODELS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
AGENT_SCOPES: Final = (
    "openinference.instrumentation.",
    "opentelemetry.instrumentation.langchain",
    "langfuse-sdk",
    "langsmith",
)
"""Libraries all of whose spans are an agent's, and which may say at the end alone what they are."""


def shape_of(span: OtelSpan) -> Shape | None:
    """What it is; None where it is none of an agent's."""
    said = span.attributes
    if (kind := text(said, "trace_streaming.kind")) in KINDS:  # exported by this app
        return Shape(kind, text(said, "trace_streaming.step"))
    if google_adk.is_told_around(span):
        return Shape(STEP, "generate_content")
    return _by_dialect(span) or _by_words(said) or _by_name(span)


def _by_dialect(span: OtelSpan) -> Shape | None:
    said = span.attributes
    if "mcp.method.name" in said and not text(said, "gen_ai.operation.name"):
        return _TOOL if said["mcp.method.name"] == "tools/call" else Shape(STEP, "mcp")
    if kind := text(said, langsmith.KIND):  # which has no operation for all of them
        return _AGENT if langsmith.is_agent(said) else _LANGSMITH.get(kind) or Shape(STEP, kind)
    if operation := text(said, "gen_ai.operation.name", "llm.request.type"):
        other = _AGENT if operation.startswith("invoke_") else Shape(STEP, operation)
        return _OPERATIONS.get(operation) or other
    if kind := text(said, "openinference.span.kind"):
        return _OPEN_INFERENCE.get(kind.upper()) or Shape(STEP, "chain")
    for word, shapes in ((langfuse.KIND, _LANGFUSE), ("traceloop.span.kind", _TRACELOOP)):
        if kind := text(said, word):
            return shapes.get(kind) or Shape(STEP, kind)
    return _of_vercel(operation) if (operation := text(said, "ai.operationId")) else None


def is_surely_an_agents(span: OtelSpan) -> bool:
    """Whether it is kept, whatever it will say at its end."""
    return shape_of(span) is not None or span.scope.startswith(AGENT_SCOPES)


def name_of(span: OtelSpan, shape: Shape) -> str:
    """What it is called here: the model, the tool, the agent; else by the span's name."""
    said = span.attributes
    if isinstance(exported := said.get("trace_streaming.name"), str):  # by this app; it may be empty
        return exported
    named = _NAMES.fullmatch(span.name)
    rest = "" if named is None else named[2] or named[3] or ""
    match shape.kind:
        case "llm_call":
            asked = text(said, "gen_ai.request.model", "ai.model.id", "langfuse.observation.model.name")
            asked = asked or open_inference.asked_model(said)
            return asked or text(said, "llm.model_name", "gen_ai.response.model") or rest or span.name
        case "tool_call":
            told = text(said, "gen_ai.tool.name", "tool.name", "ai.toolCall.name", "mcp.tool.name")
            return told or text(said, "traceloop.entity.name") or rest or span.name
        case "agent":
            told = text(said, "gen_ai.agent.name", "agent.name", "gen_ai.workflow.name", "agent_name")
            return told or text(said, "traceloop.entity.name", "ai.telemetry.functionId") or rest or span.name
    return text(said, "gen_ai.task.name", "traceloop.entity.name") or span.name


def _of_vercel(operation: str) -> Shape:
    """Of the Vercel AI SDK: ``ai.generateText`` runs a loop of ``ai.generateText.doGenerate`` and ``ai.toolCall``."""
    _, _, rest = operation.partition(".")
    if rest == "toolCall":
        return _TOOL
    function, _, inner = rest.partition(".")
    if function.startswith("embed"):
        return Shape(STEP, "embedding")
    if function == "rerank":
        return Shape(STEP, "rerank")
    return _MODEL if inner in _VERCEL_MODEL else _AGENT


def _by_words(said: Any) -> Shape | None:
    """Where no word says what it is: by what only one kind says."""
    if "gen_ai.tool.name" in said or "gen_ai.tool.call.id" in said:
        return _TOOL
    if "gen_ai.request.model" in said or "gen_ai.response.model" in said or "llm.model_name" in said:
        return _MODEL
    return _AGENT if "agent_name" in said and "model_name" in said else None  # Pydantic AI's, before the conventions


def _by_name(span: OtelSpan) -> Shape | None:
    named = _NAMES.fullmatch(span.name)
    if named is None:
        return None
    if named[3]:
        return _TOOL
    is_bare = named[2] is None and named[1] in {"chat", "embeddings"}  # anybody's word
    is_sentence = named[1] in _OF_MODELS and " " in (named[2] or "")  # and no model's name
    return None if is_bare or is_sentence else _OPERATIONS[named[1]]
