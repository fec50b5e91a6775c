"""A run of a framework, and the spans in it: what an adapter remembers of them until they end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from uuid import uuid4

from trace_streaming.emitting.contract import Emitter


@dataclass(eq=False, slots=True)
class Trace:
    """Where a root run and all inside of it are told."""

    emitter: Emitter | None
    """None: there is none, and the run goes on unseen."""
    is_own: bool = False
    """Whether the adapter made the emitter, and ends it."""
    conversation: str = ""
    """The framework's id of what several runs are parts of."""
    open: dict[Run, None] = field(default_factory=dict)
    """What has begun and not ended, in this order."""
    refused: set[str] = field(default_factory=set)
    """Kinds of spans whose events the project has not declared."""
    asked: set[Any] = field(default_factory=set)
    """Keys of what the framework has asked a human in it."""
    stopped_at: str | None = None
    """The framework's id of the place from which it may go on."""
    end_state: str | None = None
    """Set when the root has ended: what the trace ends with, once nothing is open any more."""
    ended_id: str = ""
    """The trace's id, once the adapter has ended it, and keeps its emitter, with all its events, no longer."""


@dataclass(eq=False, slots=True)
class Run:
    """A span, or what would be one: that which is not shown gives those inside of it its own parent."""

    kind: str
    """As :meth:`.Emitter.open_span` has it."""
    name: str
    trace: Trace
    parent: Run | None = None
    call_id: str = field(default_factory=lambda: uuid4().hex)
    is_shown: bool = False
    began: float = field(default_factory=perf_counter)
    first_chunk: float | None = None
    """Seconds until the first piece of an answer."""
    last_chunk: Any = None
    """The piece of an answer that came last."""
    outcome: str | None = None
    """What is known before its end."""
    error: str | None = None
    """What went wrong inside of it, where its own end does not say so."""
    has_failed: bool = False
    """Whether its framework has said so; what only stops was left."""
    asked: Any = None
    """What it was asked, where it may be shown later."""
    told: dict[str, Any] = field(default_factory=dict)
    """What is known of its end before it comes."""

    def above(self) -> Iterator[Run]:
        """It, and what it is inside of, from the inside."""
        run: Run | None = self
        while run is not None:
            yield run
            run = run.parent

    def nearest(self, kind: str | None = None) -> Run | None:
        """The innermost that is shown, and of this kind, this one included."""
        return next((run for run in self.above() if run.is_shown and kind in {None, run.kind}), None)

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since it began."""
        return round((perf_counter() - self.began) * 1000, 3)

    def take_chunk(self) -> None:
        """A piece of its answer has come; the first one counts."""
        if self.first_chunk is None:
            self.first_chunk = round(perf_counter() - self.began, 6)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a framework has asked a human, and nobody has answered yet."""

    trace: Trace
    approval_id: str
    action: str
    key: Any = None
    """What the framework knows it by."""
    parent_call_id: str = ""
    """Of what asks, where that is shown."""
