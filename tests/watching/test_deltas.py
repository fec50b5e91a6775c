"""What a call says while it says it: news for who watches live, and never a part of the log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.watching.test_hub import Watcher, until, watching
from trace_streaming import TraceEmitter
from trace_streaming.events.deltas import TextDelta
from trace_streaming.models import Event
from trace_streaming.signals import text_streamed
from trace_streaming.watching.cursor import MAX_NEWS
from trace_streaming.wire.frames import Packet
from trace_streaming.wire.profiles import PLAIN, V1
from trace_streaming.wire.protocol import EventFilter

pytestmark = pytest.mark.django_db(transaction=True)


async def frame(watcher: Watcher, kind: str) -> dict[str, Any]:
    """The next of a type."""
    async with asyncio.timeout(60):
        while True:
            found = await watcher.frames.get()
            if found.get("type", found.get("event")) == kind:
                return found


async def test_text_reaches_live_watchers_and_is_not_stored(settings: Any) -> None:
    """In order, with its place in the text; the log has the call's start and its result, and no more numbers."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ("llm_call_start", "llm_call_complete", "llm_call_error")
    async with watching("t", None, V1) as watcher:
        await frame(watcher, "live")
        emitter = TraceEmitter("t")
        with emitter.llm_call("m") as call:
            await frame(watcher, "events")  # who still reads the log does without
            subscription = watcher.subscription
            assert subscription is not None
            await until(lambda: not subscription.is_behind)
            call.stream("The weather ").stream("is fine ")
            first = await frame(watcher, "delta")
            call.stream("and it stays so.\n")
            second = await frame(watcher, "delta")
            call.result = "The weather is fine and it stays so."
        assert (first["call_id"], first["offset"]) == (call.call_id, 0)
        assert second["offset"] == len(first["text"])
        assert (first["text"] + second["text"]).startswith("The weather is fine ")
        assert await emitter.aflush(60)
        events = [event async for event in Event.objects.filter(trace__trace_id="t").order_by("sequence")]
    assert [event.sequence for event in events] == [1, 2]
    assert "gen_ai.output.messages" in events[1].details


async def test_who_speaks_the_plain_profile_is_told_nothing() -> None:
    """That profile never changes; nor does who has not asked for calls of models hear them."""
    async with (
        watching("t", None, PLAIN) as plain,
        watching("t", None, V1) as filtered,
        watching("t", None, V1) as all_,
    ):
        await frame(all_, "live")
        await frame(filtered, "live")
        assert filtered.subscription is not None
        filtered.subscription.filter = EventFilter(frozenset({"plan_created"}))
        await asyncio.to_thread(text_streamed.send, sender=TraceEmitter, delta=TextDelta("t", "c1", 0, "text"))
        assert (await frame(all_, "delta"))["text"] == "text"
        assert filtered.frames.empty()
        assert [plain.frames.get_nowait() for _ in range(plain.frames.qsize())] == []


async def test_who_is_behind_does_without() -> None:
    """A cursor that reads the log shows its results; text of the moment would come too late for it."""
    async with watching("t", None, V1) as watcher:
        await frame(watcher, "live")
        assert watcher.subscription is not None
        watcher.subscription._behind = True
        watcher.subscription.tell(TextDelta("t", "c1", 0, "text"))
        watcher.subscription._behind = False
        assert watcher.frames.empty()


async def test_a_client_that_takes_nothing_holds_a_bounded_number() -> None:
    """Invariant 5: the newest are kept until it takes them."""
    async with watching("t", None, V1) as watcher:
        await frame(watcher, "live")
        subscription = watcher.subscription
        assert subscription is not None
        taken = asyncio.Event()

        async def wait(packet: Packet) -> None:
            await taken.wait()
            Watcher.send_now(watcher, packet)

        watcher.send_now, watcher.send_packet = lambda packet: False, wait  # type: ignore[method-assign]
        for number in range(4 * MAX_NEWS):
            subscription.tell(TextDelta("t", "c1", number, "x"))
        assert len(subscription._news or ()) <= MAX_NEWS
        taken.set()
        last = None
        while last != 4 * MAX_NEWS - 1:
            last = (await frame(watcher, "delta"))["offset"]
