"""Runs as people write them, which no scenario has: handlers given twice, errors that nobody tells, odd words."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from agents import Agent as OpenAIAgent
from agents import (
    RunConfig,
    Runner,
    agent_span,
    function_tool,
    gen_trace_id,
    generation_span,
    input_guardrail,
    set_trace_processors,
    trace,
)
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, ChatMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langgraph.checkpoint.memory import InMemorySaver
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.usage import RequestUsage

from tests.frameworks.scenarios import langgraph
from tests.frameworks.scenarios.langgraph import FakeModel, ask, model, says, send_mail
from tests.frameworks.scenarios.openai_agents import ScriptedModel, call, lookup, text
from tests.frameworks.scenarios.pydantic_ai import scripted
from tests.frameworks.trees import parsed, shown, tree
from trace_streaming import TraceEmitter
from trace_streaming.integrations.langchain import TraceCallbackHandler
from trace_streaming.integrations.openai_agents import TraceProcessor
from trace_streaming.integrations.opentelemetry import TraceSpanProcessor
from trace_streaming.integrations.pydantic_ai import TraceCapability
from trace_streaming.testing import capture_events

WRITTEN = "gen_ai.usage.cache_creation.input_tokens"


@pytest.fixture(autouse=True)
def captured() -> Iterator[list[dict[str, Any]]]:
    with capture_events() as events:
        yield events
    set_trace_processors([])


@pytest.fixture
def made() -> list[TraceEmitter]:
    """The emitters that an adapter makes."""
    return []


@pytest.fixture
def make(made: list[TraceEmitter]) -> Any:
    def new(**options: Any) -> TraceEmitter:
        made.append(TraceEmitter(**options))
        return made[-1]

    return new


@pytest.fixture
def processor(make: Any) -> TraceProcessor:
    processor = TraceProcessor(new_emitter=make)
    set_trace_processors([processor])
    return processor


def expect_one(made: list[TraceEmitter], expected: str) -> None:
    """One trace, which has ended, with this tree."""
    assert [emitter.ended for emitter in made] == [True], [shown(tree(emitter.events)) for emitter in made]
    assert tree(made[0].events) == parsed(expected), shown(tree(made[0].events))


def of_all(events: list[dict[str, Any]], name: str, key: str) -> list[Any]:
    return [event["details"].get(key) for event in events if event["event"] == name]


# LangChain


def test_a_handler_for_an_agent_and_for_its_run_tells_once(make: Any, made: list[TraceEmitter]) -> None:
    """LangChain calls it twice for the root alone."""
    handler = TraceCallbackHandler(new_emitter=make)
    script = model(says("", ("lookup", {"key": "a"}, "c")), says("x"))
    agent = create_agent(script, [langgraph.lookup]).with_config(callbacks=[handler])
    agent.invoke(ask("x"), {"callbacks": [handler]})
    expect_one(made, "agent LangGraph ok|  llm fake-1 ok|  tool lookup ok|  llm fake-1 ok")


class Streaming(FakeModel):
    def _stream(self, *args: Any, run_manager: Any = None, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for word in ("a ", "b"):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager is not None:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk


def test_what_streams_is_told_once_by_a_handler_that_was_given_twice(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece comes twice, and is the same."""
    said: list[str] = []
    monkeypatch.setattr(TraceEmitter, "stream_text", lambda self, call_id, text: said.append(text))
    handler = TraceCallbackHandler(new_emitter=make)
    streaming = Streaming(messages=iter([])).with_config(callbacks=[handler])
    assert "".join(chunk.text for chunk in streaming.stream("x", {"callbacks": [handler]})) == "a b"
    assert "".join(said) == "a b"


def test_a_fallback_is_told_inside_of_what_it_is_one_of(make: Any, made: list[TraceEmitter]) -> None:
    """LangChain does not say what it is inside of."""
    falls_back = model(ConnectionError("down")).with_fallbacks([model(says("ok"))])
    falls_back.invoke("hi", {"callbacks": [TraceCallbackHandler(new_emitter=make)]})
    expect_one(made, "agent RunnableWithFallbacks ok|  llm fake-1 error|  llm fake-1 ok")


@pytest.mark.parametrize(
    "odd",
    [
        HumanMessage([{"type": "media", "mime_type": "image/png", "data": b"x"}]),
        HumanMessage([{"type": "text-plain", "text": "hi", "mime_type": "text/plain"}]),
        HumanMessage([{"type": "video", "base64": "eA==", "mime_type": "video/mp4"}]),
        ChatMessage("hi", role="critic"),
    ],
    ids=["media", "text-plain", "video", "role"],
)
def test_a_message_that_openai_does_not_have_hides_no_other(
    make: Any, captured: list[dict[str, Any]], odd: Any
) -> None:
    """It is told as it is."""
    model(says("a")).invoke([HumanMessage("before"), odd], {"callbacks": [TraceCallbackHandler(new_emitter=make)]})
    (sent,) = of_all(captured, "llm_call_start", "gen_ai.input.messages")
    assert sent[0] == {"role": "user", "parts": [{"type": "text", "content": "before"}]}
    assert sent[1]["role"] == ("critic" if isinstance(odd, ChatMessage) else "user")


def test_calls_whose_arguments_are_no_json_are_told(make: Any, captured: list[dict[str, Any]]) -> None:
    """With what the model has said."""
    bad = {"name": "lookup", "args": "{bad", "id": "i1", "error": "e", "type": "invalid_tool_call"}
    answer = AIMessage("", invalid_tool_calls=[bad])
    model(answer).invoke("x", {"callbacks": [TraceCallbackHandler(new_emitter=make)]})
    ((message,),) = of_all(captured, "llm_call_complete", "gen_ai.output.messages")
    (part,) = [part for part in message["parts"] if part["type"] == "tool_call"]
    assert (part["name"], part["arguments"]) == ("lookup", "{bad")


@pytest.mark.parametrize(
    "told",
    [
        {"token_usage": {"prompt_tokens": 3, "completion_tokens": 9}},
        {"usage": {"input_tokens": 3, "output_tokens": 9}},
    ],
)
def test_tokens_in_a_providers_own_words(make: Any, captured: list[dict[str, Any]], told: dict[str, Any]) -> None:
    """Where LangChain has not made them its own."""
    handler = TraceCallbackHandler(new_emitter=make)
    model(AIMessage("x", response_metadata=told)).invoke("x", {"callbacks": [handler]})
    usage = [of_all(captured, "llm_call_complete", f"gen_ai.usage.{name}_tokens") for name in ("input", "output")]
    assert usage == [[3], [9]]


@pytest.mark.parametrize(
    "details",
    [{"cache_creation": 5}, {"cache_creation": 0, "ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2}],
)
def test_tokens_that_langchain_says_were_written_into_a_cache(
    make: Any, captured: list[dict[str, Any]], details: dict[str, Any]
) -> None:
    """They are dearer than others; Anthropic's say for how long."""
    usage: Any = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10, "input_token_details": details}
    handler = TraceCallbackHandler(new_emitter=make)
    model(AIMessage("x", usage_metadata=usage)).invoke("x", {"callbacks": [handler]})
    assert of_all(captured, "llm_call_complete", WRITTEN) == [5]


def test_a_question_that_nobody_answers_here_keeps_no_events(make: Any, made: list[TraceEmitter]) -> None:
    """Another process may; this one forgets what the trace holds."""
    handler = TraceCallbackHandler(new_emitter=make)
    script = model(says("", ("send_mail", {"to": "a"}, "c")))
    agent = create_agent(script, [send_mail], checkpointer=InMemorySaver())
    agent.invoke(ask("x"), {"callbacks": [handler], "configurable": {"thread_id": "t"}})
    emitter = weakref.ref(made.pop())
    gc.collect()
    assert emitter() is None


# The OpenAI Agents SDK


@pytest.mark.parametrize("has_contents", [True, False])
async def test_an_agent_that_stops_with_a_tool_asks_nobody(
    processor: TraceProcessor, made: list[TraceEmitter], has_contents: bool
) -> None:
    """As a tool of another one; what its tool has returned is None, or is not told."""

    @function_tool
    async def done(x: int) -> str | None:
        """The end."""
        return None if has_contents else "done"

    inner = OpenAIAgent(
        "inner", model=ScriptedModel([call("done", "c1", x=1)]), tools=[done], tool_use_behavior="stop_on_first_tool"
    )
    script = ScriptedModel([call("r", "c0", input="x")], [text("z")])
    outer = OpenAIAgent("outer", model=script, tools=[inner.as_tool("r", "d")])
    config = RunConfig(trace_include_sensitive_data=has_contents)
    await Runner.run(outer, "go", hooks=processor.hooks, run_config=config)
    inside = "tool r ok|    agent inner ok|      llm fake-1 ok|      tool done ok"
    expect_one(made, f"agent outer ok|  llm fake-1 ok|  {inside}|  llm fake-1 ok")


async def test_runs_at_once_of_one_trace_end_it(processor: TraceProcessor, made: list[TraceEmitter]) -> None:
    """Once."""
    config = RunConfig(trace_id=gen_trace_id())
    turns = [call("lookup", "c", key="a")], [text("x")]
    agents = [OpenAIAgent(name, model=ScriptedModel(*turns), tools=[lookup]) for name in ("a", "b")]
    runs = (Runner.run(agent, "go", hooks=processor.hooks, run_config=config) for agent in agents)
    await asyncio.gather(*runs)
    assert [emitter.ended for emitter in made] == [True]
    assert [node[:3] for node in tree(made[0].events)] == [("agent", "a", "ok"), ("agent", "b", "ok")]


async def test_a_processor_that_was_added_twice_tells_once(processor: TraceProcessor, made: list[TraceEmitter]) -> None:
    """As a module does that is imported twice."""
    set_trace_processors([processor, processor])
    await Runner.run(OpenAIAgent("a", model=ScriptedModel([text("x")])), "go", hooks=processor.hooks)
    expect_one(made, "agent a ok|  llm fake-1 ok")


async def test_a_guardrail_that_raises_has_failed(processor: TraceProcessor, made: list[TraceEmitter]) -> None:
    """The SDK does not say so of its span."""

    @input_guardrail
    async def checks(context: Any, agent: Any, said: Any) -> Any:
        raise ConnectionError("its model is down")

    agent = OpenAIAgent("a", model=ScriptedModel([text("x")]), input_guardrails=[checks])
    with pytest.raises(ConnectionError):
        await Runner.run(agent, "go", hooks=processor.hooks)
    expect_one(made, "agent a error|  step checks error")


def test_what_a_span_of_ones_own_says_oddly_hides_nothing_else(
    processor: TraceProcessor, captured: list[dict[str, Any]]
) -> None:
    """Its tokens are told, and its answer."""
    usage = {"input_tokens": 3, "output_tokens": 9}
    answer = [{"role": "assistant", "content": "x"}]
    with trace("mine"), agent_span("a"):
        with generation_span(input=5, output=answer, model="m", usage=usage):
            pass
        with generation_span(output=5, model="m", usage=usage):
            pass
    assert of_all(captured, "llm_call_complete", "gen_ai.usage.output_tokens") == [9, 9]
    assert of_all(captured, "llm_call_complete", "gen_ai.response.finish_reasons") == [["stop"], None]
    assert of_all(captured, "llm_call_complete", "gen_ai.output.messages")[0][0]["parts"][0]["content"] == "x"


def test_tokens_that_openai_says_were_written_into_a_cache(
    processor: TraceProcessor, captured: list[dict[str, Any]]
) -> None:
    """As its Responses interface has them."""
    usage = {
        "input_tokens": 9,
        "output_tokens": 1,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 5},
    }
    with trace("mine"), agent_span("a"), generation_span(input=[], output=[], model="m", usage=usage):
        pass
    assert of_all(captured, "llm_call_complete", WRITTEN) == [5]


# Pydantic AI


async def test_tokens_that_pydantic_ai_says_were_written_into_a_cache(
    captured: list[dict[str, Any]], make: Any
) -> None:
    """Of whatever provider."""

    def answer(said: Any, info: Any) -> ModelResponse:
        return ModelResponse([TextPart("x")], usage=RequestUsage(input_tokens=9, output_tokens=1, cache_write_tokens=5))

    await Agent(FunctionModel(answer), capabilities=[TraceCapability(new_emitter=make)]).run("go")
    assert of_all(captured, "llm_call_complete", WRITTEN) == [5]


async def test_a_capability_for_an_agent_and_one_for_its_run_tell_once(made: list[TraceEmitter], make: Any) -> None:
    """That of the run counts."""
    agent = Agent(scripted("x"), name="solo", capabilities=[TraceCapability()])
    await agent.run("go", capabilities=[TraceCapability(new_emitter=make)])
    expect_one(made, "agent solo ok|  llm fake-1 ok")


# OpenTelemetry


def test_what_begins_behind_its_root_leaves_no_trace_running(make: Any, made: list[TraceEmitter]) -> None:
    """The trace ends again, as it had."""
    provider = TracerProvider()
    provider.add_span_processor(TraceSpanProcessor(new_emitter=make))
    tracer = provider.get_tracer("agent")
    said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"}
    root = tracer.start_span("root", attributes=said)
    inside = otel.set_span_in_context(root)
    root.end()
    asked = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    tracer.start_span("chat m", context=inside, attributes=asked).end()
    assert [emitter.ended for emitter in made] == [True, True]
    assert len({emitter.trace_id for emitter in made}) == 1
    assert [node[:2] for node in tree(made[1].events)] == [("llm", "m")]
