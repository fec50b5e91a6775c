"""What models, tools and agents were told and have answered, in every form that senders give it, and in odd ones."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conventions.test_telling import ANSWER, CALL, MESSAGE, span, told
from trace_streaming.conventions.otel_spans import SpanEvent
from trace_streaming.conventions.shapes import Shape, shape_of
from trace_streaming.conventions.telling import details_of, end_of, start_of
from trace_streaming.emitting.messages import as_messages
from trace_streaming.events.freezing import freeze_details

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "solo"}
ASKED = {"role": "user", "content": "what is a?"}


def text(value: Any) -> str:
    return orjson.dumps(value).decode()


def details_event(**said: Any) -> SpanEvent:
    attributes = {f"gen_ai.{key}.messages": text(value) for key, value in said.items()}
    return SpanEvent("gen_ai.client.inference.operation.details", attributes)


@pytest.mark.parametrize(
    "events",
    [
        [
            SpanEvent("gen_ai.content.prompt", {"gen_ai.prompt": text([ASKED])}),
            SpanEvent(
                "gen_ai.content.completion", {"gen_ai.completion": text({"role": "assistant", "content": "delta"})}
            ),
        ],
        [
            SpanEvent("gen_ai.content.prompt", {"gen_ai.prompt": "what is a?"}),
            SpanEvent("gen_ai.content.completion", {"gen_ai.completion": "delta"}),
        ],
        [
            SpanEvent("gen_ai.user.message", {"gen_ai.event.content": text(ASKED), "gen_ai.system": "az.ai.inference"}),
            SpanEvent("gen_ai.choice", {"gen_ai.event.content": text({"message": {"content": "delta"}, "index": 0})}),
        ],
        [
            SpanEvent("gen_ai.user.message", {"gen_ai.event.content": "what is a?"}),
            SpanEvent("gen_ai.choice", {"message": "delta"}),
        ],
        [
            SpanEvent("gen_ai.user.message", {"content": text([{"text": "what is a?"}])}),
            SpanEvent("gen_ai.choice", {"message": text([{"text": "delta"}])}),
        ],
        [details_event(input=MESSAGE), details_event(output=ANSWER)],
    ],
    ids=["one for all", "texts", "azure", "azure's texts", "strands", "of today"],
)
def test_messages_as_events(events: list[SpanEvent]) -> None:
    """Of a model, and of an agent, which has said one text."""
    details = told(CHAT, events=events)
    assert (details["gen_ai.input.messages"], details["gen_ai.output.messages"]) == (MESSAGE, ANSWER)
    details = told(AGENT, events=events)
    assert (details["input"], details["result"]) == ("what is a?", "delta")


def test_why_a_model_has_stopped_and_what_it_calls() -> None:
    """As Bedrock's clients say it."""
    use = [{"toolUse": {"toolUseId": "c1", "name": "lookup", "input": {"key": "a"}}}]
    answer = [{"toolResult": {"toolUseId": "c1", "content": [{"text": "delta"}], "status": "success"}}]
    events = [
        SpanEvent("gen_ai.tool.message", {"content": text(answer)}),
        SpanEvent("gen_ai.choice", {"finish_reason": "tool_use", "message": text(use)}),
    ]
    details = told(CHAT, events=events)
    assert details["gen_ai.output.messages"] == [{**CALL[0], "finish_reason": "tool_use"}]
    assert details["gen_ai.input.messages"][0]["parts"][0]["response"] == answer


def test_parts_as_anthropic_s_clients_have_them() -> None:
    """Calls of tools, and their answers; in what an emitter is told, too."""
    said = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "lookup", "input": {"key": "a"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "delta"}]},
    ]
    answered = {"type": "tool_call_response", "id": "c1", "response": "delta"}
    assert as_messages(said) == [*CALL, {"role": "user", "parts": [answered]}]


@pytest.mark.parametrize(
    "events",
    [
        [
            SpanEvent("gen_ai.tool.message", {"role": "tool", "content": '{"key":"a"}', "id": "c1"}),
            SpanEvent("gen_ai.choice", {"message": text([{"text": "delta"}]), "id": "c1"}),
        ],
        [
            details_event(input=[{"role": "tool", "parts": [{"type": "tool_call", "arguments": {"key": "a"}}]}]),
            details_event(
                output=[{"role": "tool", "parts": [{"type": "tool_call_response", "response": [{"text": "delta"}]}]}]
            ),
        ],
    ],
    ids=["earlier", "of today"],
)
def test_tools_as_events(events: list[SpanEvent]) -> None:
    """What they are given, and what has come of it."""
    details = told(TOOL, events=events)
    assert (details["args"], details["result"]) == ({"key": "a"}, [{"text": "delta"}])


def test_keys_beside_the_messages_that_are_spread() -> None:
    """OpenLLMetry says there what a filter has found."""
    said = {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "what is a?"}
    filtered = {"gen_ai.prompt.prompt_filter_results": "[]", "gen_ai.prompt.prompt_error": "x"}
    assert told({**CHAT, **said, **filtered})["gen_ai.input.messages"] == MESSAGE


def test_texts_that_look_like_something_else() -> None:
    """An answer that is JSON, and a list of messages that was cut off."""
    for answer in ('{"answer": 3}', "[1, 2]", "[]"):
        said = {"gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": answer}
        (message,) = told({**CHAT, **said})["gen_ai.output.messages"]
        assert message["parts"] == [{"type": "text", "content": answer}]
    cut = '[{"role":"assis'
    (message,) = told({**CHAT, "gen_ai.output.messages": cut})["gen_ai.output.messages"]
    assert message == {"role": "assistant", "parts": [{"type": "text", "content": cut}]}


def test_arguments_that_have_langchain_s_names() -> None:
    """Only what has nothing else is LangChain's."""
    args = {"kwargs": {}, "inputs": [5], "fn": "run"}
    details = told(
        {**TOOL, "gen_ai.tool.call.arguments": text(args), "gen_ai.tool.call.result": '{"kwargs":1,"exit":3}'}
    )
    assert (details["args"], details["result"]) == (args, {"kwargs": 1, "exit": 3})


def test_functions_of_openinference_before_calls_had_ids() -> None:
    """A name, and arguments."""
    prefix = "llm.output_messages.0.message"
    said = {
        f"{prefix}.role": "assistant",
        f"{prefix}.function_call_name": "lookup",
        f"{prefix}.function_call_arguments_json": '{"key": "a"}',
    }
    details = told({"openinference.span.kind": "LLM", "llm.model_name": "m", **said})
    (part,) = details["gen_ai.output.messages"][0]["parts"]
    assert (part["name"], part["arguments"]) == ("lookup", {"key": "a"})


OF_EVENTS = """gen_ai.prompt gen_ai.completion gen_ai.event.content message content tool_calls finish_reason
    gen_ai.input.messages gen_ai.output.messages""".split()
DIALECTS = {
    "gen_ai.operation.name": (
        ["chat", "execute_tool", "invoke_agent"],
        """gen_ai.input.messages gen_ai.output.messages gen_ai.system_instructions gen_ai.tool.call.arguments
        gen_ai.tool.call.result gen_ai.prompt.0.content gen_ai.prompt.0.tool_calls gen_ai.prompt.0.tool_calls.0
        gen_ai.completion.0.content gen_ai.completion.0.tool_calls events pydantic_ai.all_messages final_result""",
    ),
    "openinference.span.kind": (
        ["LLM", "TOOL", "AGENT", "CHAIN"],
        """llm.invocation_parameters llm.input_messages.0.message llm.output_messages.0.message.tool_calls
        llm.output_messages.0.message.contents llm.output_messages.0.message.tool_calls.0.tool_call llm.prompts.0.prompt
        llm.output_messages.0.message.function_call_name llm.choices.0.completion input.value output.value
        tool.parameters""",
    ),
    "traceloop.span.kind": (["workflow", "tool", "task"], "traceloop.entity.input traceloop.entity.output"),
    "ai.operationId": (
        ["ai.generateText.doGenerate", "ai.toolCall", "ai.streamText"],
        """ai.prompt ai.prompt.messages ai.response.text ai.response.toolCalls ai.toolCall.args ai.toolCall.result
        ai.response.finishReason ai.response.msToFirstChunk""",
    ),
    "langfuse.observation.type": (
        ["generation", "tool", "agent", "span"],
        """langfuse.observation.input langfuse.observation.output langfuse.observation.usage_details
        langfuse.observation.cost_details langfuse.observation.model.parameters langfuse.observation.model.name""",
    ),
    "langsmith.span.kind": (
        ["llm", "tool", "chain"],
        "gen_ai.prompt gen_ai.completion langsmith.trace.name langsmith.metadata.lc_agent_name",
    ),
    "gcp.vertex.agent.event_id": (
        ["e-1"],
        """gcp.vertex.agent.llm_request gcp.vertex.agent.llm_response gcp.vertex.agent.tool_call_args gen_ai.tool.name
        gen_ai.request.model gen_ai.response.finish_reasons gen_ai.response.finish_reason""",
    ),
}
PLAIN = st.sampled_from([None, True, 0, 5, 1.5, "", "x", "{}", "[]", "assistant", "text", "tool_call", "toolUse"])
NAMES = ["role", "content", "parts", "type", "text", "tool_calls", "function", "arguments", "message", "toolUse", "id"]
NAMES += ["messages", "contents", "config", "system_instruction", "function_call", "function_response", "name", "args"]
NAMES += ["input", "prompt_tokens", "prompt_tokens_details", "total"]
NAMES += ["lc", "kwargs", "generations", "choices", "output"]
INNER = st.recursive(
    PLAIN, lambda one: st.lists(one, max_size=2) | st.dictionaries(st.sampled_from(NAMES), one, max_size=4)
)
ODD = INNER | INNER.map(text) | st.lists(INNER, max_size=2).map(text)
EVENTS = [
    *("gen_ai.user.message", "gen_ai.tool.message", "gen_ai.choice", "gen_ai.content.prompt"),
    *("gen_ai.content.completion", "gen_ai.client.inference.operation.details", "exception"),
]


@pytest.mark.parametrize("word", DIALECTS)
@given(st.data())
def test_odd_values_under_the_words_of_each_dialect(word: str, data: st.DataObject) -> None:
    """Nothing raises, and all can be frozen."""
    kinds, keys = DIALECTS[word]
    said = {word: data.draw(st.sampled_from(kinds))}
    said |= data.draw(st.dictionaries(st.sampled_from(keys.split()), ODD, min_size=1, max_size=3))
    of_event = data.draw(st.dictionaries(st.sampled_from(OF_EVENTS), ODD, max_size=2))
    event = SpanEvent(data.draw(st.sampled_from(EVENTS)), of_event)
    each = span(attributes=said, events=[event], is_failed=True)
    shape = shape_of(each) or Shape("step")
    for told_event in (start_of(each, shape, ""), end_of(each, shape, "", details_of(each, shape))):
        freeze_details(told_event.details)
