"""A run that shows what can be watched: agents side by side, models that think and speak, and a human who is asked.

It was recorded: LangGraph made it, with scripted models, and this app's adapter told of it (``make recording``). The
ids, the times and the decision are real.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from trace_streaming import TraceEmitter
from trace_streaming.emitting.decision import Decision
from trace_streaming.emitting.playback import RecordedEvent, paced, read_recording
from trace_streaming.exceptions import StopRequestedError

Wait = Callable[[float], bool]
"""Takes seconds; returns whether to stop."""
RECORDING: Final = Path(__file__).parent / "recordings" / "langgraph" / "checkout.jsonl"
"""Three traces: ``asked`` ends with the question, ``approved`` and ``rejected`` are what comes behind it."""
ANSWER_SECONDS: Final = 120.0
"""How long the agent that asks waits for an answer."""


class Stopped(Exception):  # noqa: N818  no error
    """The demonstration ends."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a model says, while it says it."""

    call_id: str
    text: str
    timestamp: datetime


class RecordedRun:
    """One run.

    :param wait: for as long as the agents have thought, or worked
    """

    def __init__(self, emitter: TraceEmitter, wait: Wait) -> None:
        self._emitter = emitter
        self._wait = wait
        lines = RECORDING.read_bytes().splitlines()
        events = [event for event in read_recording(lines) if isinstance(event, RecordedEvent)]
        self._parts = {name: list(part) for name, part in groupby(events, attrgetter("trace_id"))}
        self._ids = {event.details["call_id"]: str(uuid4()) for event in events if event.event.endswith("_start")}
        self._instead: list[tuple[Any, Any]] = list(self._ids.items())
        """What was recorded, and what is told in its place."""
        self._open: dict[str, str] = {}
        """The kinds of the spans that have not ended, by their ids."""

    def play(self) -> None:
        """From the question to what came of the human's decision.

        :raises Stopped: when ``wait`` says that it is over
        :raises StopRequestedError: somebody has asked it to stop
        """
        *begun, question = self._parts["asked"]
        try:
            self._play(begun)
            decision = self._ask(question)
            self._play(self._parts["approved" if decision.is_approved else "rejected"])
        except (Stopped, StopRequestedError):
            for call_id, kind in reversed(self._open.items()):
                self._emitter.close_span(kind, call_id, outcome="cancelled")
            raise

    def _play(self, events: Sequence[RecordedEvent]) -> None:
        for each in paced(_with_pieces(events), sleep=self._sleep):
            self._emitter.check_stop()
            if isinstance(each, Piece):
                self._emitter.stream_text(self._ids[each.call_id], each.text)
            else:
                self._emit(each)

    def _emit(self, event: RecordedEvent) -> None:
        kind, _, what = event.event.rpartition("_")
        details = self._told(event.details)
        if what == "start":
            self._open[details["call_id"]] = kind
        else:
            self._open.pop(details["call_id"], None)
        self._emitter.emit(event.event, details, event.status)

    def _ask(self, question: RecordedEvent) -> Decision:
        asked = question.details
        decision = self._emitter.request_approval(
            asked["action"],
            tool_name=asked["tool_name"],
            risk_level=asked["risk_level"],
            arguments=asked["arguments"],
            timeout=ANSWER_SECONDS,
            allowed=asked["allowed"],
            call_id=asked["call_id"],
            parent_call_id=self._ids[asked["parent_call_id"]],
        )
        if decision.decision == "edited":
            edited = {"name": asked["tool_name"], "args": decision.arguments}
            self._instead += [
                (asked["arguments"], decision.arguments),
                ({"type": "approve"}, {"type": "edit", "edited_action": edited}),
            ]
        return decision

    def _told(self, value: Any) -> Any:
        """With the run's own ids, and with what the human has changed."""
        for recorded, instead in self._instead:
            if value == recorded:
                return instead
        if isinstance(value, list):
            return [self._told(item) for item in value]
        return {key: self._told(item) for key, item in value.items()} if isinstance(value, dict) else value

    def _sleep(self, seconds: float) -> None:
        if self._wait(seconds):
            raise Stopped


def _with_pieces(events: Sequence[RecordedEvent]) -> list[RecordedEvent | Piece]:
    """With what models say: a recording has it as a whole, at the end of the call."""
    pieces = [piece for event in events if event.event == "llm_call_complete" for piece in _pieces(event)]
    return sorted([*events, *pieces], key=attrgetter("timestamp"))


def _pieces(end: RecordedEvent) -> Iterator[Piece]:
    """Word by word, from the first that came to the last."""
    told = end.details
    seconds = told["duration_ms"] / 1000 - told["gen_ai.response.time_to_first_chunk"]
    parts = [part for message in told["gen_ai.output.messages"] for part in message["parts"]]
    words = re.findall(r"\S+\s*", "".join(part["content"] for part in parts if part["type"] == "text"))
    for number, word in enumerate(words):
        left = timedelta(seconds=seconds * (1 - number / len(words)))
        if end.timestamp is not None:
            yield Piece(told["call_id"], word, end.timestamp - left)


def play_recorded_run(wait: Wait) -> None:
    """One run, under a trace id of its own; it ends early where somebody asks it to stop.

    :raises Stopped: when ``wait`` says that it is over
    """
    suffix = datetime.now().strftime("%H%M%S")  # noqa: DTZ005  for people to read
    name, conversation, tags = "Mend the flaky checkout test", "shop-4711", ["demonstration", "langgraph"]
    emitter = TraceEmitter(f"checkout-{suffix}", name=name, conversation=conversation, tags=tags)
    with suppress(StopRequestedError), emitter:
        RecordedRun(emitter, wait).play()
