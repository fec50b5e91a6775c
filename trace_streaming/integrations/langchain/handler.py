"""The handler that LangChain and LangGraph call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from trace_streaming.emitting.contract import Emitter
from trace_streaming.integrations.holding import warn_if_free
from trace_streaming.integrations.tracer import NewEmitter, Tracer, guarded

from . import values
from .runs import LangChainRuns, is_node

try:  # told of interrupts that no exception carries, too
    from langgraph.callbacks import GraphCallbackHandler as _Handler
except ImportError:
    from langchain_core.callbacks import BaseCallbackHandler as _Handler

P = ParamSpec("P")
R = TypeVar("R")


def _stopping(hook: Callable[P, R], *, is_of_chains: bool = False) -> Callable[P, R]:
    """Before this hook the run ends where somebody asks it to stop.

    :param is_of_chains: of these it looks before the nodes of a graph alone
    """

    @wraps(hook)
    def stop_or_begin(*args: P.args, **kwargs: P.kwargs) -> R:
        handler: Any = args[0]
        if not is_of_chains or handler._tracer.safely(is_node, kwargs.get("tags")):
            handler._tracer.check_stop(handler._runs.get, kwargs.get("parent_run_id"))
        return hook(*args, **kwargs)

    return stop_or_begin


class TraceCallbackHandler(_Handler):
    """Hand it to a run, ``config={"callbacks": [handler]}``, or to any number of them, at the same time too.

    Nothing of it raises, or changes a run, but that models, tools, retrievers and nodes of graphs do not begin any more
    where somebody asks the run to stop: it ends with :class:`.StopRequestedError`. It asks nobody: where a graph is
    interrupted, the agent and the tool are ``interrupted``, and what is asked is told as an approval, which is
    ``resumed`` when the graph is.

    :param emitter: None: the :func:`~trace_streaming.current_emitter`; else a new one for each root run, named after
        it, of the conversation ``thread_id``, and ended with it
    :param owner: of new traces: a callable without arguments that returns a user or None
    :param new_emitter: makes new emitters where there is no project: called with ``name`` and ``conversation``
    :param contents: False: names, numbers and sizes, no messages, arguments, results or errors' texts
    :param steps: whether nodes and chains are shown
    """

    raise_error = True  # otherwise LangChain swallows what ends a run; all else is swallowed here
    run_inline = True  # otherwise asynchronous runs call from several threads, in any order

    def __init__(
        self,
        emitter: Emitter | None = None,
        *,
        owner: Callable[[], Any] | None = None,
        new_emitter: NewEmitter | None = None,
        contents: bool = True,
        steps: bool = False,
    ) -> None:
        super().__init__()
        self._tracer = tracer = Tracer("LangChain", emitter, owner, new_emitter, contents)
        self._runs = LangChainRuns(tracer, shows_steps=steps, is_told_of_graphs=hasattr(_Handler, "on_resume"))

    @partial(_stopping, is_of_chains=True)
    @guarded
    def on_chain_start(self, serialized: Mapping[str, Any] | None, inputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A chain, a graph or a node begins."""
        name = kwargs.get("name") or ((serialized or {}).get("id") or ["chain"])[-1]
        self._runs.begin_chain(name, run_id, inputs, **kwargs)

    @guarded
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """It has ended well, or was interrupted."""
        self._runs.end(run_id, details=self._told("result", lambda: values.last_said(outputs)))

    @guarded
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """It has failed, was interrupted or cancelled, or nobody reads its stream any more."""
        self._runs.end(run_id, error=error)

    @guarded
    def on_interrupt(self, event: Any) -> None:
        """A graph stops: LangGraph says so behind the exceptions, and where there is none."""
        self._runs.interrupted(event.run_id, event.interrupts, event.checkpoint_id)

    @guarded
    def on_resume(self, event: Any) -> None:
        """A graph goes on from where it has stopped."""
        self._runs.resumed(event.run_id, event.checkpoint_id)

    @_stopping
    @guarded
    def on_chat_model_start(
        self, serialized: Mapping[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """A model is sent messages."""
        self._begin_model("chat", serialized, run_id, lambda: values.messages(messages[0]), kwargs)

    @_stopping
    @guarded
    def on_llm_start(self, serialized: Mapping[str, Any], prompts: list[str], *, run_id: UUID, **kwargs: Any) -> None:
        """A model that completes texts is sent one."""
        self._begin_model("text_completion", serialized, run_id, lambda: values.prompt(prompts[0]), kwargs)

    def _begin_model(
        self,
        operation: str,
        serialized: Mapping[str, Any],
        run_id: UUID,
        messages: Callable[[], Any],
        options: Mapping[str, Any],
    ) -> None:
        name = values.model_name(serialized, options)
        details = {
            **(self._tracer.safely(values.request_details, operation, name, options) or {}),
            **self._told("gen_ai.input.messages", messages),
        }
        self._runs.begin("llm_call", name, run_id, details=details, **options)

    @guarded
    def on_llm_new_token(self, token: str | list[Any], *, run_id: UUID, **kwargs: Any) -> None:
        """A model says a piece of its answer."""
        run, chunk = self._runs.get(run_id), kwargs.get("chunk")
        if run is None or (chunk is not None and chunk is run.last_chunk):  # the handler was handed over twice
            return
        run.last_chunk = chunk
        self._tracer.stream(run, values.token_text(token))

    @guarded
    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """The same, of a stream of LangChain's third protocol."""
        run = self._runs.get(run_id)
        if run is not None and event.get("event") == "content-block-delta":
            self._tracer.stream(run, event["delta"].get("text") or "")

    @guarded
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has answered."""
        details = self._tracer.safely(values.response_details, response) or {}
        self._runs.end(
            run_id, details={**details, **self._told("gen_ai.output.messages", lambda: values.answer(response))}
        )

    @guarded
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has failed, or nobody reads its stream any more."""
        self._runs.end(run_id, error=error)

    @_stopping
    @guarded
    def on_tool_start(
        self, serialized: Mapping[str, Any] | None, input_str: str, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """A tool begins."""
        name = kwargs.get("name") or (serialized or {}).get("name") or "tool"
        inputs, tool_call_id = kwargs.get("inputs"), kwargs.get("tool_call_id")
        details = self._told("args", lambda: {"input": input_str} if inputs is None else inputs)
        if tool_call_id:
            details["gen_ai.tool.call.id"] = tool_call_id
        self._runs.begin("tool_call", name, run_id, details=details, **kwargs)
        if tool_call_id:
            warn_if_free(name, tool_call_id)

    @guarded
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool has returned, or has said by its message that it failed."""
        said = getattr(output, "content", output)
        if getattr(output, "status", None) == "error":
            self._runs.end(run_id, error=values.token_text(said) or "The tool failed")
        else:
            self._runs.end(run_id, details=self._told("result", lambda: said))

    @guarded
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool has failed, was cancelled, or has asked a human."""
        self._runs.end(run_id, error=error)

    @_stopping
    @guarded
    def on_retriever_start(
        self, serialized: Mapping[str, Any] | None, query: str, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Documents are looked for."""
        name = kwargs.get("name") or ((serialized or {}).get("id") or ["retriever"])[-1]
        details = {"kind": "retrieval", **self._told("query", lambda: query)}
        self._runs.begin("step", name, run_id, details=details, **kwargs)

    @guarded
    def on_retriever_end(self, documents: Sequence[Document], *, run_id: UUID, **kwargs: Any) -> None:
        """Documents were found."""
        found = [{"text": each.page_content, "metadata": each.metadata} for each in documents]
        self._runs.end(run_id, details={"documents": len(found), **self._told("result", lambda: found)})

    @guarded
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """The search has failed."""
        self._runs.end(run_id, error=error)

    def _told(self, key: str, value: Callable[[], Any]) -> dict[str, Any]:
        """A content; nothing of it where it cannot be shown."""
        return self._tracer.safely(lambda: self._tracer.content(key, value())) or {}
