"""Graphs of LangGraph that stop for a human: he is asked, and they go on with what he has decided."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing
from typing import Any

from trace_streaming.integrations.streams import aset_apart, set_apart

from .loop import Answer, Loop, as_answer, last_result


def run_with_approvals(
    graph: Any,
    inputs: Any,
    config: Mapping[str, Any] | None = None,
    *,
    timeout: float = 300.0,
    risk_level: str = "medium",
    wait: bool = True,
    on_decision: str = "",
    answer: Answer = as_answer,
    **options: Any,
) -> Any:
    """``graph.invoke(inputs, config)``; where it is interrupted, a human is asked, and it goes on with what he decides.

    ``HumanInTheLoopMiddleware`` and ``interrupt()`` alike. Told by the ``TraceCallbackHandler`` of the config, else by
    one of its own. With ``inputs=None`` it goes on where the thread has stopped, in whatever process that was: inside
    of a ``with TraceEmitter(trace_id)`` of the trace in which it was asked, what was asked and decided before counts.

    :param graph: with a checkpointer
    :param config: with a ``thread_id``
    :param timeout: seconds for each decision; then it is a no
    :param risk_level: as :meth:`.TraceEmitter.request_approval` has it
    :param wait: False: ask and return, with ``__interrupt__`` in the result, while a decision is open
    :param on_decision: with ``wait=False``, what is called when all of them are taken: see :meth:`.ask_approval`
    :param answer: makes of a decision what an ``interrupt()`` of one's own returns
    :param options: of ``invoke``
    :returns: what ``invoke`` does; still interrupted, too, where a timeout could not be told as a no
    :raises ValueError: for a graph without a checkpointer
    :raises TypeError: for an emitter that cannot ask
    """
    loop = Loop(graph, config, answer)
    with loop.asking(timeout=timeout, risk_level=risk_level, waits=wait, on_decision=on_decision) as asker:
        results = [graph.invoke(turn, loop.config, **options) for turn in loop.turns(inputs, asker)]
        return results[-1] if results else last_result(graph.get_state(loop.config))


async def arun_with_approvals(
    graph: Any,
    inputs: Any,
    config: Mapping[str, Any] | None = None,
    *,
    timeout: float = 300.0,  # noqa: ASYNC109  of the human
    risk_level: str = "medium",
    wait: bool = True,
    on_decision: str = "",
    answer: Answer = as_answer,
    **options: Any,
) -> Any:
    """Like :func:`run_with_approvals`, with ``ainvoke``."""
    loop = Loop(graph, config, answer)
    with loop.asking(timeout=timeout, risk_level=risk_level, waits=wait, on_decision=on_decision) as asker:
        results = [await graph.ainvoke(turn, loop.config, **options) async for turn in loop.aturns(inputs, asker)]
        return results[-1] if results else last_result(await graph.aget_state(loop.config))


def stream_with_approvals(
    graph: Any,
    inputs: Any,
    config: Mapping[str, Any] | None = None,
    *,
    timeout: float = 300.0,
    risk_level: str = "medium",
    wait: bool = True,
    on_decision: str = "",
    answer: Answer = as_answer,
    **options: Any,
) -> Generator[Any]:
    """Like :func:`run_with_approvals`, with ``stream``: what that yields, of one run after the other.

    An interrupt is among it, as ever; the next piece comes when the human has decided, and none where nobody waits.
    """
    loop = Loop(graph, config, answer)

    def stream() -> Generator[Any]:
        with loop.asking(timeout=timeout, risk_level=risk_level, waits=wait, on_decision=on_decision) as asker:
            for turn in loop.turns(inputs, asker):
                yield from graph.stream(turn, loop.config, **options)

    return set_apart(stream())


def astream_with_approvals(
    graph: Any,
    inputs: Any,
    config: Mapping[str, Any] | None = None,
    *,
    timeout: float = 300.0,
    risk_level: str = "medium",
    wait: bool = True,
    on_decision: str = "",
    answer: Answer = as_answer,
    **options: Any,
) -> AsyncGenerator[Any]:
    """Like :func:`stream_with_approvals`, with ``astream``."""
    loop = Loop(graph, config, answer)

    async def stream() -> AsyncGenerator[Any]:
        with loop.asking(timeout=timeout, risk_level=risk_level, waits=wait, on_decision=on_decision) as asker:
            async for turn in loop.aturns(inputs, asker):
                async with aclosing(graph.astream(turn, loop.config, **options)) as pieces:
                    async for piece in pieces:
                        yield piece

    return aset_apart(stream())
