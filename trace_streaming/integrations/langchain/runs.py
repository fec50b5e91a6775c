"""LangChain's runs while they are open, by its own ids; which of them are shown, and as what."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from langchain_core.runnables.config import var_child_runnable_config

from trace_streaming.emitting.blocks import outcome_of
from trace_streaming.integrations.interrupts import (
    interrupts_of,
    is_handed_over,
    is_interrupt,
    is_resuming,
    questions,
    resumes,
)
from trace_streaming.integrations.runs import Asked, Run
from trace_streaming.integrations.tracer import Tracer

from .values import asked_for

_MOST_ASKED: Final = 1000
"""Questions that wait for an answer, of all runs of one handler; then the oldest are forgotten."""


def is_node(tags: Iterable[str] | None) -> bool:
    """Whether a chain with these tags is a node of a graph."""
    return any(tag.startswith("graph:step:") for tag in tags or ())


class LangChainRuns:
    """Of one handler.

    :param shows_steps: whether nodes and plain chains are shown
    :param is_told_of_graphs: whether :meth:`interrupted` and :meth:`resumed` are called
    """

    def __init__(self, tracer: Tracer, *, shows_steps: bool, is_told_of_graphs: bool) -> None:
        self._tracer = tracer
        self._is_told_of_graphs = is_told_of_graphs
        self._shows_steps = shows_steps
        self._open: dict[UUID, Run] = {}
        self._asked: deque[Asked] = deque(maxlen=_MOST_ASKED)

    def get(self, run_id: UUID) -> Run | None:
        """One that is open."""
        return self._open.get(run_id)

    def begin(
        self,
        kind: str,
        name: str,
        run_id: UUID,
        /,
        *,
        parent_run_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        is_shown: bool = True,
        **options: Any,
    ) -> Run:
        """A run begins, inside of another or as a root; told again by a handler that was handed over twice, once."""
        if (known := self._open.get(run_id)) is not None:
            return known
        parent = self._parent(parent_run_id)
        if parent is not None:
            self._show_step(parent)
        run = self._open[run_id] = self._tracer.begin(
            kind,
            name,
            parent,
            conversation=(metadata or {}).get("thread_id"),
            call_id=str(run_id),
            details=details,
            is_shown=is_shown,
        )
        return run

    def begin_chain(
        self, name: str, run_id: UUID, inputs: Any, /, *, tags: Iterable[str] | None = None, **options: Any
    ) -> None:
        """A chain begins: an agent if it is a root, or turns out to be a graph."""
        if run_id in self._open:  # the handler was handed over twice
            return
        parent = self._parent(options.get("parent_run_id"))
        if parent is None:
            run = self.begin("agent", name, run_id, details=self._asked_for(inputs), **options)
            run.asked = inputs
            if not self._is_told_of_graphs:
                self._answer(run, None)
            return
        is_one = is_node(tags)
        if is_one and parent.kind == "step" and not parent.is_shown:  # it has nodes: it is a graph
            parent.kind = "agent"
            parent.told.clear()
            self._tracer.safely(self._tracer.show, parent, self._asked_for(parent.asked))
        run = self.begin("step", name, run_id, is_shown=False, **options)
        run.told["kind"] = "node" if is_one else "chain"
        run.asked = None if is_one else inputs

    def _parent(self, parent_run_id: UUID | None) -> Run | None:
        """What a run is inside of: where LangChain does not say, as of fallbacks, that in which this code runs."""
        if parent_run_id is None:
            callbacks = (var_child_runnable_config.get() or {}).get("callbacks")
            parent_run_id = getattr(callbacks, "parent_run_id", None)
        return None if parent_run_id is None else self._open.get(parent_run_id)

    def _asked_for(self, inputs: Any) -> dict[str, Any]:
        return self._tracer.safely(lambda: self._tracer.content("input", asked_for(inputs))) or {}

    def _show_step(self, run: Run) -> None:
        if self._shows_steps and run.kind == "step" and not run.is_shown:
            self._tracer.safely(self._tracer.show, run, run.told)

    def end(
        self, run_id: UUID, *, error: BaseException | str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        """A run has ended; what is open inside of a root has no end of its own any more."""
        run = self._open.pop(run_id, None)
        if run is None:
            return
        outcome = None
        if isinstance(error, BaseException):
            if is_handed_over(error):
                error = None
            elif is_interrupt(error):
                outcome = "interrupted"
                self._tracer.safely(self._ask, run, interrupts_of(error))
                if run.kind == "step" and run.parent is not None:
                    run.parent.outcome = outcome
            else:
                outcome = outcome_of(error)
        if run.parent is None:
            self._leave(run, "cancelled" if outcome == "cancelled" else "abandoned")
        self._show_step(run)
        self._tracer.end(run, error=error, outcome=outcome, details=details)

    def _leave(self, root: Run, outcome: str) -> None:
        for run in reversed(list(root.trace.open)):
            if run is not root:
                self._open.pop(UUID(run.call_id), None)
                self._tracer.end(run, outcome=outcome)

    def interrupted(self, run_id: UUID | None, interrupts: Iterable[Any], checkpoint_id: str) -> None:
        """A graph stops before it ends well."""
        run = None if run_id is None else self._open.get(run_id)
        if run is not None:
            run.outcome = "interrupted"
            self._ask(run, interrupts)
            if run.parent is None:
                run.trace.stopped_at = checkpoint_id

    def resumed(self, run_id: UUID | None, checkpoint_id: str) -> None:
        """A graph goes on."""
        run = None if run_id is None else self._open.get(run_id)
        if run is not None and run.parent is None:
            self._answer(run, checkpoint_id)

    def _ask(self, run: Run, interrupts: Iterable[Any]) -> None:
        """Told once: the exception goes through a tool, its node, and graphs around it."""
        agent, trace = next((each for each in run.above() if each.kind == "agent"), run), run.trace
        for interrupt in interrupts:
            key = (trace.conversation, getattr(interrupt, "id", None))
            if key in trace.asked or any(asked.key == key for asked in list(self._asked)):
                continue
            trace.asked.add(key)
            for action, arguments in list(questions(interrupt.value, run.name)):
                self._asked.append(self._tracer.ask(agent, action, arguments, key))

    def _answer(self, run: Run, checkpoint_id: str | None) -> None:
        """Of what was asked in its thread: that from which it goes on, as others may have stopped there, too."""
        conversation = run.trace.conversation
        if not conversation or not is_resuming(run.asked):
            return
        answered = [
            asked
            for asked in list(self._asked)
            if asked.key[0] == conversation and resumes(run.asked, asked.key[1]) and asked.trace is not run.trace
        ]
        for asked in [each for each in answered if each.trace.stopped_at == checkpoint_id] or answered:
            self._asked.remove(asked)
            self._tracer.answered(asked)
