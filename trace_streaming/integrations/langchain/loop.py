"""What the loops of LangGraph do: where a graph has stopped, who is asked for what, and what it is given to go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.callbacks import BaseCallbackManager

from trace_streaming.emitting.decision import DECISIONS, Decision
from trace_streaming.integrations.asking import Asker, Question, as_arguments, asking, reason
from trace_streaming.integrations.holding import remember
from trace_streaming.integrations.interrupts import edit_schema, is_call, is_review, tool_calls, words

from .handler import TraceCallbackHandler

WORDS: Final = {"approve": "approved", "reject": "rejected", "edit": "edited", "respond": "responded"}
"""LangChain's, and ours."""
_THEIRS: Final = {ours: theirs for theirs, ours in WORDS.items()} | {"timeout": "reject", "withdrawn": "reject"}
_MOST: Final = 200
"""Characters of an action."""

Answer = Callable[[Decision], Any]
"""Makes of a decision what an ``interrupt()`` of one's own returns."""


def as_answer(decision: Decision) -> dict[str, Any]:
    """What ``interrupt()`` returns where nothing else is said.

    ``type`` is ``approve``, ``edit``, ``reject`` (a timeout, too) or ``respond``; ``args`` what to go on with, of the
    first two; ``message`` what the human has said, if anything.
    """
    told: dict[str, Any] = {"type": _THEIRS[decision.decision]}
    if decision.is_approved:
        told["args"] = dict(decision.arguments)
    return told | ({"message": said} if (said := reason(decision)) else {})


def last_result(state: Any) -> Any:
    """What ``invoke`` returns of a graph that has come so far."""
    if not state.interrupts or not isinstance(state.values, dict):
        return state.values
    return {**state.values, "__interrupt__": list(state.interrupts)}


def _is_over(state: Any) -> bool:
    return state is not None and not state.next


def _is_stopped(state: Any) -> bool:
    return state is not None and bool(state.interrupts)


@dataclass(frozen=True, slots=True)
class _Stop:
    interrupt: Any
    questions: Sequence[Question]


def _questions_of(stops: Sequence[_Stop]) -> list[Question]:
    return [question for stop in stops for question in stop.questions]


class Loop:
    """Of one graph, in one thread of it.

    :raises ValueError: for a graph without a checkpointer
    """

    def __init__(self, graph: Any, config: Mapping[str, Any] | None, answer: Answer) -> None:
        if not getattr(graph, "checkpointer", True):
            raise ValueError("A graph that stops for a human needs a checkpointer: InMemorySaver() for one process")
        self._graph = graph
        handler, self.config = _with_handler(config, getattr(graph, "config", None))
        self._tracer = handler._tracer
        self._thread = str((self.config.get("configurable") or {}).get("thread_id", ""))
        self._name = str(self.config.get("run_name") or getattr(graph, "name", None) or "graph")
        self._answer = answer

    def asking(self, **options: Any) -> AbstractContextManager[Asker]:
        """As :func:`.asking` has it, in the trace of the graph's runs."""
        return asking(self._tracer, name=self._name, conversation=self._thread or None, **options)

    def turns(self, inputs: Any, asker: Asker) -> Iterator[Any]:
        """What the graph is given, one after the other; each is asked for when it has run with that before."""
        state = self._graph.get_state(self.config) if inputs is None else None
        if _is_over(state):
            return
        if is_new := not _is_stopped(state):
            yield inputs
        while stops := self._stops(self._graph.get_state(self.config), asker):
            resume = self._resume(stops, asker.decide(_questions_of(stops), is_new=is_new))
            if resume is None:
                return
            yield resume
            is_new = True

    async def aturns(self, inputs: Any, asker: Asker) -> AsyncIterator[Any]:
        """Like :meth:`turns`, without blocking the event loop."""
        state = await self._graph.aget_state(self.config) if inputs is None else None
        if _is_over(state):
            return
        if is_new := not _is_stopped(state):
            yield inputs
        while stops := self._stops(await self._graph.aget_state(self.config), asker):
            resume = self._resume(stops, await asker.adecide(_questions_of(stops), is_new=is_new))
            if resume is None:
                return
            yield resume
            is_new = True

    def _stops(self, state: Any, asker: Asker) -> list[_Stop]:
        """Where the graph waits for an answer."""
        calls = tool_calls(state.values)
        return [
            _Stop(each, list(self._questions(each, calls, asker.parent_of((self._thread, each.id)))))
            for each in state.interrupts
        ]

    def _questions(self, interrupt: Any, calls: Sequence[Mapping[str, Any]], parent: str) -> Iterator[Question]:
        value, key = interrupt.value, (self._thread, interrupt.id)
        if is_review(value):
            allowed = {each["action_name"]: each["allowed_decisions"] for each in value["review_configs"]}
            left = list(calls)
            for number, request in enumerate(value["action_requests"]):
                name, args = request["name"], request["args"]
                call = next((each for each in left if (each["name"], each["args"]) == (name, args)), {})
                left = [each for each in left if each is not call]
                may = [WORDS[word] for word in allowed[name]]
                yield Question(name, args, (*key, number), may, call.get("id") or "", parent)
        elif is_call(value):
            schema = interrupt.response_schema
            may = [WORDS[word] for word in WORDS if word in set(words(schema))] or list(DECISIONS)
            call_id = value.get("tool_call_id") or ""
            yield Question(value["name"], value["args"], key, may, call_id, parent, edit_schema(schema))
        elif isinstance(value, Mapping) and isinstance(value.get("action"), str):
            arguments = {name: each for name, each in value.items() if name != "action"}
            yield Question(value["action"][:_MOST] or self._name, arguments, key, parent_call_id=parent)
        else:
            name = value[:_MOST] if isinstance(value, str) and value else self._name
            yield Question(name, as_arguments(value), key, parent_call_id=parent)

    def _resume(self, stops: Sequence[_Stop], decisions: Sequence[Decision] | None) -> Any:
        """The command with which the graph goes on; None where it cannot yet, or a timeout cannot be told."""
        from langgraph.types import Command  # whoever has a graph has it

        if decisions is None:
            return None
        left, answers = iter(decisions), {}
        for question in _questions_of(stops):
            remember(question.call_id)
        for stop in stops:
            decided = [(question, next(left)) for question in stop.questions]
            if any(each.decision not in DECISIONS and "rejected" not in asked.allowed for asked, each in decided):
                return None  # nobody's no: it cannot be told as a human's
            value = stop.interrupt.value
            if is_review(value):
                answers[stop.interrupt.id] = {"decisions": [_decision(asked, each) for asked, each in decided]}
            else:
                (one,) = decided
                answers[stop.interrupt.id] = _decision(*one) if is_call(value) else self._answer(one[1])
        return Command(resume=answers)


def _decision(asked: Question, decision: Decision) -> dict[str, Any]:
    """In the middleware's form."""
    told: dict[str, Any] = {"type": _THEIRS[decision.decision]}
    if decision.decision == "edited":
        told["edited_action"] = {"name": asked.action, "args": dict(decision.arguments)}
    elif not decision.is_approved and (said := reason(decision)):
        told["message"] = said
    return told


def _with_handler(
    config: Mapping[str, Any] | None, bound: Mapping[str, Any] | None
) -> tuple[TraceCallbackHandler, dict[str, Any]]:
    """A run's handler, and its config with that; one of the graph's own counts."""
    config = dict(config or {})
    callbacks = config.get("callbacks")
    for given in (callbacks, (bound or {}).get("callbacks")):
        handlers = given.handlers if isinstance(given, BaseCallbackManager) else given or ()
        for each in handlers:
            if isinstance(each, TraceCallbackHandler):
                return each, config
    handler = TraceCallbackHandler()
    if isinstance(callbacks, BaseCallbackManager):
        config["callbacks"] = callbacks.copy()
        config["callbacks"].add_handler(handler)
    else:
        config["callbacks"] = [*(callbacks or ()), handler]
    return handler, config
