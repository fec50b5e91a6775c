"""What spans say, in the dialects that no instrumentation of today speaks any more, or only sometimes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trace_streaming.conventions.otel_spans import OtelSpan, SpanEvent, check_span
from trace_streaming.conventions.shapes import Shape, name_of, shape_of
from trace_streaming.conventions.telling import conversation_of, details_of, end_of, start_of, user_of
from trace_streaming.events.freezing import freeze_details

MESSAGE = [{"role": "user", "parts": [{"type": "text", "content": "what is a?"}]}]
ANSWER = [{"role": "assistant", "parts": [{"type": "text", "content": "delta"}]}]
CALL = [
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"key": "a"}}]}
]


def span(name: str = "span", events: list[SpanEvent] | None = None, **more: Any) -> OtelSpan:
    attributes = more.pop("attributes", {})
    return OtelSpan("1" * 32, "2" * 16, "", name, 10**18, 10**18 + 10**6, attributes, "", events or [], **more)


def langfuse(usage: Any) -> dict[str, Any]:
    """A call of a model as Langfuse's SDK tells it."""
    told_usage = orjson.dumps(usage).decode()
    return {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": told_usage}


def told(attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """All details of the end."""
    each = span(attributes=attributes, **more)
    shape = shape_of(each)
    assert shape is not None
    return end_of(each, shape, "", details_of(each, shape)).details


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ({"gen_ai.operation.name": "chat"}, Shape("llm_call")),
        ({"gen_ai.operation.name": "text_completion"}, Shape("llm_call")),
        ({"gen_ai.operation.name": "generate_content"}, Shape("llm_call")),
        ({"gen_ai.operation.name": "invoke_agent"}, Shape("agent")),
        ({"gen_ai.operation.name": "execute_tool"}, Shape("tool_call")),
        ({"gen_ai.operation.name": "invoke_swarm"}, Shape("agent")),
        ({"gen_ai.operation.name": "chat.completions", "gen_ai.system": "openai"}, Shape("llm_call")),
        ({"gen_ai.operation.name": "text.completions"}, Shape("llm_call")),
        ({"gen_ai.operation.name": "acompletion", "llm.request.type": "acompletion"}, Shape("llm_call")),
        ({"gen_ai.operation.name": "aresponses"}, Shape("llm_call")),
        ({"gen_ai.operation.name": "anthropic_messages"}, Shape("llm_call")),
        ({"gen_ai.operation.name": "aembedding"}, Shape("step", "embedding")),
        ({"langsmith.span.kind": "llm", "gen_ai.operation.name": "chat"}, Shape("llm_call")),
        ({"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"}, Shape("step", "prompt")),
        ({"langsmith.span.kind": "retriever", "gen_ai.operation.name": "embeddings"}, Shape("step", "retrieval")),
        (
            {"langsmith.span.kind": "chain", "langsmith.trace.name": "a", "langsmith.metadata.lc_agent_name": "a"},
            Shape("agent"),
        ),
        ({"langfuse.observation.type": "generation"}, Shape("llm_call")),
        ({"langfuse.observation.type": "tool"}, Shape("tool_call")),
        ({"langfuse.observation.type": "agent"}, Shape("agent")),
        ({"langfuse.observation.type": "span"}, Shape("step")),
        ({"langfuse.observation.type": "retriever"}, Shape("step", "retrieval")),
        ({"langfuse.observation.type": "chain"}, Shape("step", "chain")),
        ({"gen_ai.operation.name": "embeddings"}, Shape("step", "embedding")),
        ({"gen_ai.operation.name": "new_word"}, Shape("step", "new_word")),
        ({"llm.request.type": "chat"}, Shape("llm_call")),
        ({"openinference.span.kind": "LLM"}, Shape("llm_call")),
        ({"openinference.span.kind": "CHAIN"}, Shape("step", "chain")),
        ({"openinference.span.kind": "RETRIEVER"}, Shape("step", "retrieval")),
        ({"traceloop.span.kind": "workflow"}, Shape("agent")),
        ({"traceloop.span.kind": "task"}, Shape("step", "node")),
        ({"ai.operationId": "ai.streamText"}, Shape("agent")),
        ({"ai.operationId": "ai.streamText.doStream"}, Shape("llm_call")),
        ({"ai.operationId": "ai.toolCall"}, Shape("tool_call")),
        ({"ai.operationId": "ai.embedMany.doEmbed"}, Shape("step", "embedding")),
        ({"mcp.method.name": "tools/call"}, Shape("tool_call")),
        ({"mcp.method.name": "tools/list"}, Shape("step", "mcp")),
        ({"gen_ai.tool.name": "lookup"}, Shape("tool_call")),
        ({"gen_ai.request.model": "gpt-5"}, Shape("llm_call")),
        ({"agent_name": "solo", "model_name": "gpt-5"}, Shape("agent")),
        ({"http.request.method": "POST"}, None),
        ({"db.system.name": "postgresql"}, None),
        ({}, None),
    ],
)
def test_what_a_span_is(attributes: dict[str, Any], shape: Shape | None) -> None:
    """By what it says."""
    assert shape_of(span(attributes=attributes)) == shape


@pytest.mark.parametrize(
    ("name", "kind", "called"),
    [
        ("chat gpt-5", "llm_call", "gpt-5"),
        ("execute_tool lookup", "tool_call", "lookup"),
        ("invoke_agent solo", "agent", "solo"),
        ("invoke_agent", "agent", "invoke_agent"),
        ("tools/call add", "tool_call", "add"),
        ("chat", None, ""),
        ("chat /rooms/7", None, ""),
        ("GET /chat", None, ""),
        ("my chat gpt-5", None, ""),
        ("chat message received", None, ""),
        ("embeddings of the day", None, ""),
        ("invoke_agent My Agent", "agent", "My Agent"),
    ],
)
def test_names_where_attributes_are_missing(name: str, kind: str | None, called: str) -> None:
    """As the conventions have them, and nothing that only looks so."""
    shape = shape_of(span(name))
    assert (None if shape is None else shape.kind) == kind
    assert shape is None or name_of(span(name), shape) == called


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai.input.messages": orjson.dumps(MESSAGE).decode(),
            "gen_ai.output.messages": orjson.dumps(CALL).decode(),
        },
        {  # OpenLLMetry, until 2025
            "llm.request.type": "chat",
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "what is a?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "lookup",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"key": "a"}',
        },
        {  # OpenInference
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.contents.0.message_content.type": "text",
            "llm.input_messages.0.message.contents.0.message_content.text": "what is a?",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "lookup",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"key": "a"}',
        },
        {  # the Vercel AI SDK, version 4
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.prompt.messages": '[{"role":"user","content":"what is a?"}]',
            "ai.response.toolCalls": '[{"toolCallId":"c1","toolName":"lookup","args":{"key":"a"}}]',
        },
        {  # Langfuse's SDK
            "langfuse.observation.type": "generation",
            "langfuse.observation.input": '[{"role":"user","content":"what is a?"}]',
            "langfuse.observation.output": orjson.dumps(
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c1", "name": "lookup", "args": {"key": "a"}}],
                }
            ).decode(),
        },
        {  # LangSmith's SDK, around OpenAI's client
            "langsmith.span.kind": "llm",
            "gen_ai.prompt": '{"messages":[{"role":"user","content":"what is a?"}],"model":"gpt-5"}',
            "gen_ai.completion": orjson.dumps(
                {
                    "choices": [
                        {
                            "message": {
                                "role": "assistant",
                                "tool_calls": [
                                    {"id": "c1", "function": {"name": "lookup", "arguments": '{"key":"a"}'}}
                                ],
                            }
                        }
                    ]
                }
            ).decode(),
        },
        {  # Google's ADK
            "gcp.vertex.agent.event_id": "e-1",
            "gcp.vertex.agent.llm_request": '{"contents":[{"role":"user","parts":[{"text":"what is a?"}]}]}',
            "gcp.vertex.agent.llm_response": orjson.dumps(
                {
                    "content": {
                        "role": "model",
                        "parts": [{"function_call": {"id": "c1", "name": "lookup", "args": {"key": "a"}}}],
                    },
                    "finish_reason": "STOP",
                }
            ).decode(),
        },
        {  # Pydantic AI, version 1
            "gen_ai.operation.name": "chat",
            "events": orjson.dumps(
                [
                    {"event.name": "gen_ai.user.message", "content": "what is a?", "role": "user"},
                    {
                        "event.name": "gen_ai.choice",
                        "message": {
                            "role": "assistant",
                            "tool_calls": [{"id": "c1", "function": {"name": "lookup", "arguments": '{"key":"a"}'}}],
                        },
                    },
                ]
            ).decode(),
        },
    ],
    ids=["conventions", "openllmetry", "openinference", "vercel", "langfuse", "langsmith", "adk", "pydantic"],
)
def test_messages_are_the_same_in_every_dialect(attributes: dict[str, Any]) -> None:
    """With a role and parts."""
    details = told({"gen_ai.request.model": "gpt-5", **attributes})
    assert details["gen_ai.input.messages"] == MESSAGE
    assert details["gen_ai.output.messages"] == CALL


def test_messages_that_are_events_of_the_span() -> None:
    """As the conventions had them, and one event for all."""
    events = [
        SpanEvent("gen_ai.user.message", {"content": "what is a?"}),
        SpanEvent("gen_ai.choice", {"message": '{"role": "assistant", "content": "delta"}'}),
    ]
    details = told({"gen_ai.operation.name": "chat"}, events=events)
    assert (details["gen_ai.input.messages"], details["gen_ai.output.messages"]) == (MESSAGE, ANSWER)
    whole = {key: orjson.dumps(said).decode() for key, said in (("input", MESSAGE), ("output", ANSWER))}
    event = SpanEvent(
        "gen_ai.client.inference.operation.details",
        {f"gen_ai.{key}.messages": said for key, said in whole.items()},
    )
    details = told({"gen_ai.operation.name": "chat"}, events=[event])
    assert (details["gen_ai.input.messages"], details["gen_ai.output.messages"]) == (MESSAGE, ANSWER)


@pytest.mark.parametrize(
    ("attributes", "tokens"),
    [
        ({"gen_ai.usage.prompt_tokens": 11, "gen_ai.usage.completion_tokens": 7}, (11, 7, None)),
        ({"gen_ai.usage.input_tokens": 11, "gen_ai.usage.details.cache_read_tokens": 5}, (11, None, 5)),
        (
            {"openinference.span.kind": "LLM", "llm.token_count.prompt": 11, "llm.token_count.completion": 7},
            (11, 7, None),
        ),
        ({"ai.operationId": "ai.streamText.doStream", "ai.usage.promptTokens": 11}, (11, None, None)),
        ({"gen_ai.usage.input_tokens": 11, "gen_ai.usage.cached_input_tokens": 5}, (11, None, 5)),
        (langfuse({"input": 6, "input_cache_read": 5, "output": 4, "output_reasoning": 3, "total": 18}), (11, 7, 5)),
        (
            langfuse({"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}}),
            (11, 7, 5),
        ),
        (langfuse({"input": 11, "output": 7}), (11, 7, None)),
        (langfuse([11, 7]), (None, None, None)),
    ],
)
def test_tokens_are_the_same_in_every_dialect(attributes: dict[str, Any], tokens: tuple[int | None, ...]) -> None:
    """What was read from a cache, too."""
    details = told({"gen_ai.request.model": "gpt-5", **attributes})
    names = ("input_tokens", "output_tokens", "cache_read.input_tokens")
    found = tuple(details.get(f"gen_ai.usage.{name}") for name in names)
    assert repr(found) == repr(tokens)  # whole numbers stay whole


@pytest.mark.parametrize(
    "key",
    [
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.cache_write_tokens",
        "llm.token_count.prompt_details.cache_write",
        "ai.usage.inputTokenDetails.cacheWriteTokens",
    ],
)
def test_what_was_written_to_a_cache(key: str) -> None:
    """Under its name of today."""
    says = {"llm.": {"openinference.span.kind": "LLM"}, "ai.u": {"ai.operationId": "ai.streamText.doStream"}}
    said = says.get(key[:4], {})
    details = told({"gen_ai.request.model": "gpt-5", key: 5, **said})
    assert details["gen_ai.usage.cache_creation.input_tokens"] == 5


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.tool.name": "lookup", "gen_ai.tool.call.arguments": '{"key":"a"}', "gen_ai.tool.call.result": "b"},
        {"openinference.span.kind": "TOOL", "tool.name": "lookup", "input.value": '{"key":"a"}', "output.value": "b"},
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "lookup",
            "traceloop.entity.input": '{"inputs": {"key": "a"}, "kwargs": {}}',
            "traceloop.entity.output": '{"output": "b", "kwargs": {}}',
        },
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "lookup",
            "ai.toolCall.args": '{"key":"a"}',
            "ai.toolCall.result": '"b"',
        },
        {
            "gen_ai.tool.name": "lookup",
            "langfuse.observation.type": "tool",
            "langfuse.observation.input": '{"key":"a"}',
            "langfuse.observation.output": "b",
        },
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "lookup",
            "gcp.vertex.agent.event_id": "e-1",
            "gcp.vertex.agent.llm_request": "{}",
            "gcp.vertex.agent.tool_call_args": '{"key":"a"}',
            "gcp.vertex.agent.tool_response": "b",
        },
    ],
    ids=["conventions", "openinference", "openllmetry", "vercel", "langfuse", "adk"],
)
def test_tools_are_the_same_in_every_dialect(attributes: dict[str, Any]) -> None:
    """Their name, what they are given, and what comes of it."""
    details = told(attributes)
    assert (details["tool"], details["args"], details["result"]) == ("lookup", {"key": "a"}, "b")


def test_agents_say_what_they_were_asked_and_have_answered() -> None:
    """Without tokens: those are of the calls inside of them."""
    vercel = {"ai.operationId": "ai.generateText", "ai.telemetry.functionId": "solo", "ai.prompt": '{"prompt":"go"}'}
    details = told({**vercel, "ai.response.text": "done", "ai.usage.inputTokens": 22})
    assert (details["name"], details["input"], details["result"]) == ("solo", "go", "done")
    said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "solo", "gen_ai.usage.input_tokens": 22}
    pydantic = {**said, "final_result": "done", "pydantic_ai.all_messages": orjson.dumps([*MESSAGE, *ANSWER]).decode()}
    details = told(pydantic)
    assert (details["input"], details["result"]) == ("what is a?", "done")
    assert not [key for key in details if key.startswith("gen_ai.usage")]


def test_a_call_of_a_model_as_langfuse_tells_it() -> None:
    """Its model, its settings and its cost; what is no message stands as it is."""
    said = {
        "langfuse.observation.model.name": "gpt-5",
        "langfuse.observation.model.parameters": '{"temperature": 0.5}',
        "langfuse.observation.cost_details": '{"input": 0.25, "total": 0.5}',
        "langfuse.observation.input": "what is a?",
        "langfuse.observation.output": '{"letter": "a"}',
        "langfuse.environment": "default",
    }
    details = told({**langfuse({"input": 11}), **said})
    assert (details["name"], details["gen_ai.request.model"], details["gen_ai.usage.cost"]) == ("gpt-5", "gpt-5", 0.5)
    assert (details["gen_ai.request.temperature"], details["gen_ai.input.messages"]) == (0.5, MESSAGE)
    assert details["result"] == {"letter": "a"}
    assert "attributes" not in details


def test_texts_and_what_is_no_message_as_langsmith_tells_them() -> None:
    """A text is a message; what has none stands as it is; of a tool its message's text is the result."""
    model = {"gen_ai.request.model": "gpt-5", "gen_ai.prompt": "what is a?", "gen_ai.completion": '{"letter":"a"}'}
    details = told(model)
    assert (details["gen_ai.input.messages"], details["result"]) == (MESSAGE, {"letter": "a"})
    assert not {"gen_ai.prompt", "gen_ai.completion"} & details.keys()
    texts = {**model, "gen_ai.completion": '{"generations":[[{"text":"delta"}]]}'}
    assert told(texts)["gen_ai.output.messages"] == ANSWER
    tool = {"langsmith.span.kind": "tool", "gen_ai.tool.name": "lookup", "gen_ai.prompt": '{"key":"a"}'}
    details = told({**tool, "gen_ai.completion": '{"output":{"type":"tool","content":"b","tool_call_id":"c1"}}'})
    assert (details["args"], details["result"]) == ({"key": "a"}, "b")


def test_google_s_adk_tells_a_call_by_two_spans() -> None:
    """The outer one is the call; what is inside of it, with the same tokens, is a step, but where it is alone."""
    tokens = {"gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 7}
    said = {"gcp.vertex.agent.event_id": "e-1", "gcp.vertex.agent.session_id": "c-1", **tokens}
    config = {"system_instruction": "be brief"}
    outer = span(
        "call_llm",
        attributes={
            **said,
            "gen_ai.request.model": "gemini-3",
            "gcp.vertex.agent.llm_request": orjson.dumps({"contents": [], "config": config}).decode(),
            "gcp.vertex.agent.llm_response": '{"content":{"parts":[{"text":"hm","thought":true},{"text":"delta"}]}}',
        },
    )
    shape = shape_of(outer)
    assert (shape, conversation_of(outer)) == (Shape("llm_call"), "c-1")
    assert shape is not None
    details = details_of(outer, shape)
    system = {"role": "system", "parts": [{"type": "text", "content": "be brief"}]}
    assert details["gen_ai.input.messages"] == [system]
    kinds = [part["type"] for part in details["gen_ai.output.messages"][0]["parts"]]
    assert (kinds, details["gen_ai.usage.input_tokens"]) == (["reasoning", "text"], 11)
    assert "attributes" not in details
    inner = {**said, "gen_ai.operation.name": "generate_content", "gen_ai.request.model": "gemini-3"}
    assert shape_of(span("generate_content gemini-3", attributes=inner)) == Shape("step", "generate_content")
    alone = {**inner, "gen_ai.provider.name": "gcp.gemini"}  # of its schema's version 2
    assert shape_of(span("generate_content gemini-3", attributes=alone)) == Shape("llm_call")
    begun = span("generate_content gemini-3")._replace(scope="gcp.vertex.agent")
    assert shape_of(begun) == Shape("step", "generate_content")
    google = {"gen_ai.operation.name": "generate_content", "gen_ai.request.model": "gemini-3"}  # without ADK
    assert shape_of(span("generate_content gemini-3", attributes=google)) == Shape("llm_call")


def test_agents_and_reasons_as_mastra_and_semantic_kernel_tell_them() -> None:
    """What an agent is given has names of its own; reasons are JSON in a text, or one word."""
    said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "solo", "mastra.span.type": "agent_run"}
    details = told({**said, "mastra.agent_run.input": "go", "mastra.agent_run.output": '{"text":"done"}'})
    assert (details["input"], details["result"]) == ("go", {"text": "done"})
    assert "attributes" not in details
    model = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}
    for key, value in (("finish_reasons", '["stop"]'), ("finish_reason", "stop")):
        details = told({**model, f"gen_ai.response.{key}": value})
        assert {key: value for key, value in details.items() if "finish" in key} == {
            "gen_ai.response.finish_reasons": ["stop"]
        }


def test_errors_and_outcomes() -> None:
    """By the exception, else the status, else the attribute; what is no failure is none."""
    chat = {"gen_ai.operation.name": "chat"}
    assert told(chat, is_failed=True, message="429")["error"] == "429"
    assert told({**chat, "error.type": "Timeout"}, is_failed=True)["error"] == "Timeout"
    exception = SpanEvent(
        "exception", {"exception.type": "asyncio.CancelledError", "exception.stacktrace": "x" * 20_000}
    )
    cancelled = span(attributes=chat, events=[exception], is_failed=True)
    end = end_of(cancelled, Shape("llm_call"), "", {})
    assert (end.event, end.status, end.details["outcome"]) == ("llm_call_complete", "warning", "cancelled")
    failed = SpanEvent("exception", {"exception.type": "ValueError", "exception.stacktrace": "x" * 20_000})
    end = end_of(span(events=[failed], is_failed=True), Shape("step"), "", {})
    assert (end.event, len(end.details["traceback"])) == ("step_error", 8192)
    assert (
        "traceback"
        not in end_of(span(events=[failed], is_failed=True), Shape("step"), "", {}, tracebacks=False).details
    )


def test_conversations_users_and_the_rest() -> None:
    """What no framework says stands by itself."""
    said = {"traceloop.association.properties.session_id": "c-1", "ai.telemetry.metadata.userId": "u-1"}
    each = span(attributes={**said, "gen_ai.operation.name": "chat", "customer.tier": "gold", "logfire.msg": "chat"})
    assert (conversation_of(each), user_of(each)) == ("c-1", "u-1")
    assert details_of(each, Shape("llm_call"))["attributes"] == {"customer.tier": "gold"}
    rest = {"agent.version": "2", "tool.retries": 3, "session.tier": "gold", "input.lang": "de", "user.plan": "pro"}
    each = span(attributes={"gen_ai.operation.name": "chat", "session.id": 42, "user.id": 7, "tool.id": "t", **rest})
    assert (conversation_of(each), user_of(each)) == ("42", 7)
    assert details_of(each, Shape("llm_call"))["attributes"] == rest


KEYS = st.sampled_from(
    """gen_ai.operation.name gen_ai.agent.name gen_ai.tool.name gen_ai.request.model gen_ai.input.messages
    gen_ai.output.messages gen_ai.tool.call.arguments gen_ai.tool.call.result gen_ai.prompt.0.content gen_ai.prompt.x
    gen_ai.prompt.0 gen_ai.completion.0.tool_calls.0.name gen_ai.completion.0.tool_calls gen_ai.usage.input_tokens
    gen_ai.prompt.99999999.role gen_ai.system events final_result pydantic_ai.all_messages openinference.span.kind
    llm.input_messages.0.message.role llm.input_messages.0.message llm.output_messages.0.message.tool_calls.0.tool_call
    llm.invocation_parameters input.value output.value traceloop.span.kind traceloop.entity.input traceloop.entity.name
    ai.operationId ai.prompt ai.prompt.messages ai.response.toolCalls ai.response.text ai.toolCall.args
    langfuse.observation.type langfuse.observation.input langfuse.observation.output langfuse.observation.usage_details
    langfuse.observation.model.parameters gcp.vertex.agent.event_id gcp.vertex.agent.llm_request
    gcp.vertex.agent.llm_response gcp.vertex.agent.tool_call_args mastra.span.type gen_ai.response.finish_reasons
    ai.toolCall.result ai.response.msToFirstChunk mcp.method.name session.id user.id error.type
    trace_streaming.kind trace_streaming.outcome trace_streaming.event trace_streaming.details
    trace_streaming.duration_ms custom""".split()
)
WORDS = st.sampled_from(
    [
        "chat",
        "LLM",
        "TOOL",
        "agent",
        "generation",
        "tool",
        "ai.toolCall",
        "ai.generateText.doGenerate",
        "tools/call",
        "x",
        "",
    ]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "parts", "type", "id", "0", "message"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
VALUES = JSON_VALUES | JSON_VALUES.map(lambda value: orjson.dumps(value).decode() if value == value else "") | WORDS


@given(st.dictionaries(KEYS, VALUES, max_size=8), VALUES)
def test_whatever_is_said_becomes_an_event(attributes: dict[str, Any], message: Any) -> None:
    """Wrong types, wrong JSON, wrong places: nothing raises, and all can be frozen."""
    event = SpanEvent("exception", {"exception.type": message, "exception.message": message})
    each = span(attributes=attributes, events=[event, SpanEvent("gen_ai.choice", attributes)], is_failed=True)
    check_span(each)
    shape = shape_of(each) or Shape("step")
    for told_event in (start_of(each, shape, ""), end_of(each, shape, "", details_of(each, shape))):
        freeze_details(told_event.details)
        assert isinstance(told_event.event, str)
    conversation_of(each)
    user_of(each)


@pytest.mark.parametrize("key", ["gen_ai.prompt." + "a." * 20_000, "gen_ai.prompt." + "9" * 6000])
def test_keys_that_go_too_far(key: str) -> None:
    """Deep ones, and numbers that are none, hang and break nothing."""
    details_of(span(attributes={key: "x", "gen_ai.operation.name": "chat"}), Shape("llm_call"))
