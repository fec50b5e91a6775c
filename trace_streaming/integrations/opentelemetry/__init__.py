"""OpenTelemetry's spans in Python, live: ``provider.add_span_processor(TraceSpanProcessor())``.

Needs ``opentelemetry-sdk``, which whoever makes spans has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from trace_streaming.conventions.otel_spans import OtelSpan, SpanEvent
from trace_streaming.conventions.shapes import name_of, shape_of
from trace_streaming.conventions.telling import conversation_of
from trace_streaming.emitting.contract import Emitter
from trace_streaming.events import check_trace_id
from trace_streaming.events.freezing import freeze
from trace_streaming.integrations.tracer import NewEmitter, Tracer, guarded

from .runs import OtelRuns

__all__ = ["TraceSpanProcessor"]

_CONTENTS: Final = (
    *("args", "result", "input", "error", "traceback", "attributes", "gen_ai.tool.definitions"),
    *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"),
)
"""Of details, what somebody has said or been told."""


class TraceSpanProcessor(SpanProcessor):
    """Tells of a span's start what is known then, and of its end the rest; of all traces of the process.

    Spans that are none of an agent's are left out. Nothing of it raises.

    :param emitter: None: the :func:`~trace_streaming.current_emitter` where a trace begins; else a new one for each,
        with the trace's id (32 hexadecimal digits, or its attribute ``trace_streaming.trace_id``), the name of its root
        and its conversation, which ends with the root
    :param owner: of new traces: a callable without arguments that returns a user or None
    :param new_emitter: makes new emitters where there is no project: called with ``trace_id``, ``name`` and
        ``conversation``
    :param contents: False: names, numbers and sizes, no messages, arguments, results or errors' texts
    :param all_spans: whether spans that are none of an agent's are kept, as steps
    """

    def __init__(
        self,
        emitter: Emitter | None = None,
        *,
        owner: Callable[[], Any] | None = None,
        new_emitter: NewEmitter | None = None,
        contents: bool = True,
        all_spans: bool = False,
    ) -> None:
        self._tracer = Tracer("OpenTelemetry", emitter, owner, new_emitter, contents)
        self._runs = OtelRuns(self._find, self._shown, keeps_all=all_spans)

    @guarded
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """A span begins, in whatever thread."""
        self._runs.begin(_read(span), sys.exc_info()[1])

    @guarded
    def on_end(self, span: ReadableSpan) -> None:
        """It ends; of a cancellation that leaves it, the SDK tells nothing, and Python does."""
        self._runs.end(_read(span), sys.exc_info()[1])

    def shutdown(self) -> None:
        """Nothing waits here: emitters store at the process's end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here; see :meth:`.Emitter.flush`."""
        return True

    def _find(self, span: OtelSpan) -> tuple[Emitter, bool]:
        shape = shape_of(span)
        name = span.name if shape is None else name_of(span, shape)
        trace_id = check_trace_id(span.own_trace or span.trace_id)
        emitter, is_own = self._tracer.emitter_for(name, conversation_of(span), trace_id)
        return emitter, is_own

    def _shown(self, details: dict[str, Any]) -> dict[str, Any]:
        if self._tracer.contents:
            return details
        sizes = {f"{key}_bytes": len(orjson.dumps(freeze(details[key]))) for key in _CONTENTS if key in details}
        return {key: value for key, value in details.items() if key not in _CONTENTS} | sizes


def _read(span: ReadableSpan) -> OtelSpan:
    """The SDK's span as it is now."""
    context, parent, scope = span.get_span_context(), span.parent, span.instrumentation_scope
    assert context is not None  # noqa: S101  of a span that was made  # nosec B101
    return OtelSpan(
        format_trace_id(context.trace_id),
        format_span_id(context.span_id),
        "" if parent is None else format_span_id(parent.span_id),
        span.name,
        span.start_time or 0,
        span.end_time or 0,
        dict(span.attributes or {}),
        "" if scope is None else scope.name,
        [SpanEvent(event.name, _plain(event.attributes)) for event in span.events],
        span.status.status_code is StatusCode.ERROR,
        span.status.description or "",
        _plain(span.resource.attributes),
    )


def _plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(attributes or {})
