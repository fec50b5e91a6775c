"""Texts of calls while they stream: gathered, redacted, and told by a thread, whatever happens to who is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from queue import Queue

import pytest
from pytest_django import Settings

from trace_streaming import TraceEmitter
from trace_streaming.emitting import text_streams
from trace_streaming.emitting.text_streams import INTERVAL_SECONDS, TextStream
from trace_streaming.events.deltas import TextDelta
from trace_streaming.events.freezing import JSON
from trace_streaming.redaction import redact
from trace_streaming.redaction.known import memory
from trace_streaming.signals import event_emitted, text_streamed

SECONDS = 10


@pytest.fixture(autouse=True)
def _names(settings: Settings) -> Iterator[None]:
    settings.TRACE_STREAMING_EXTRA_EVENTS = ("llm_call_start", "llm_call_complete", "llm_call_error")
    receivers, event_emitted.receivers = event_emitted.receivers, []
    event_emitted.sender_receivers_cache.clear()
    memory.forget_traces()
    yield
    event_emitted.receivers = receivers
    event_emitted.sender_receivers_cache.clear()


@pytest.fixture
def told() -> Iterator[Queue[TextDelta]]:
    """What is told, as receivers get it."""
    queue: Queue[TextDelta] = Queue()

    def receive(delta: TextDelta, **kwargs: object) -> None:
        queue.put(delta)

    text_streamed.connect(receive)
    yield queue
    text_streamed.disconnect(receive)


def test_pieces_are_gathered_and_told_with_their_place(told: Queue[TextDelta]) -> None:
    """Never more than four times a second for a call; the text is whole in the end."""
    with TraceEmitter().llm_call("m") as call:
        text, times = "", []
        pieces = [f"word{'s' * (number % 3)} and " for number in range(400)]
        for piece in pieces:
            call.stream(piece)
        while len(text) < len("".join(pieces)) - 20:
            delta = told.get(timeout=SECONDS)
            assert (delta.call_id, delta.offset) == (call.call_id, len(text))
            text += delta.text
            times.append(time.monotonic())
            call.stream("more ")
    assert text.startswith("".join(pieces)[:300])
    assert all(later - earlier > 0.8 * INTERVAL_SECONDS for earlier, later in pairwise(times))


def test_a_secret_that_is_cut_by_pieces_is_not_told(told: Queue[TextDelta]) -> None:
    """Not even its beginning. Invariant 4."""
    with TraceEmitter().llm_call("m") as call:
        for piece in ("Use the pass", "word: hunt", "er2-Tr0ub", "4dor to log in, and then go on.\n"):
            call.stream(piece)
        text = ""
        while "go on" not in text:
            text += told.get(timeout=SECONDS).text
    assert text == "Use the password: [redacted:key] to log in, and then go on.\n"


def test_nothing_is_told_behind_the_end(told: Queue[TextDelta]) -> None:
    """The result is an event; a piece that comes later is dropped, and so is what had not been told."""
    emitter = TraceEmitter()
    with emitter.llm_call("m") as call:
        call.stream("The first words are told. ")
        told.get(timeout=SECONDS)
        call.stream("these are not ")
    call.stream("nor these\n")
    emitter.end()
    emitter.stream_text(call.call_id, "nor these\n")
    with TraceEmitter().llm_call("m") as another:
        another.stream("Another call's words are told behind them.\n")
        delta = told.get(timeout=SECONDS)
    assert delta.call_id == another.call_id


def test_a_projects_own_redactor_is_asked(settings: Settings, told: Queue[TextDelta]) -> None:
    """Of whole lines: what it hides is not known here. Invariant 4."""
    settings.TRACE_STREAMING_REDACTOR = f"{__name__}.without_names"
    with TraceEmitter().llm_call("m") as call:
        call.stream("Here comes Lovelace").stream(" again\nand more words ").stream("of it\n")
        text = told.get(timeout=SECONDS).text
    assert text.startswith("Here comes [redacted:name] again\n")
    assert "Lovelace" not in text


def without_names(details: dict[str, JSON]) -> dict[str, JSON]:
    return redact({key: str(value).replace("Lovelace", "[redacted:name]") for key, value in details.items()})


def test_whoever_fails_the_agent_goes_on() -> None:
    """A receiver that raises, a redactor that raises: the block's result is the same."""
    done = threading.Event()

    def fail(delta: TextDelta) -> None:
        done.set()
        raise RuntimeError

    stream = TextStream("t", "c", redact, fail)
    stream.put("some words that are told\n")
    assert done.wait(SECONDS)
    stream.put("and some that are not\n")


def test_a_piece_costs_the_agent_microseconds() -> None:
    """Whoever watches: it is put into a list."""
    stream = TextStream("t", "c", redact, lambda delta: None)
    stream.due = time.monotonic() + 3600
    started = time.thread_time()
    for _ in range(10_000):
        stream.put("a piece ")
    assert time.thread_time() - started < 0.1
    stream.close()


def told_by(streams: int, text: str, times: int) -> float:
    """What share of a processor it takes to tell of so many calls, so often."""
    enough, seen = threading.Event(), list[tuple[float, float]]()

    def tell(delta: TextDelta) -> None:
        seen.append((time.monotonic(), time.thread_time()))
        if len(seen) >= times:
            enough.set()

    called = [TextStream(f"t-{number}", "c", redact, tell) for number in range(streams)]
    while not enough.is_set():
        for stream in called:
            if not stream._pieces:
                stream.put(text)
        enough.wait(0.01)
    for stream in called:
        stream.close()
    (began, used_before), (ended, used) = seen[0], seen[-1]
    return (used - used_before) / (ended - began)


def test_many_calls_that_say_something_leave_the_processor_to_the_rest() -> None:
    """They are told less often. A third is what they may take."""
    paragraph = f"{'Some words of a story about the sea, and of ships. ' * 40}\n\n"
    assert told_by(400, paragraph, times=800) < 0.45


def test_a_long_text_without_paragraphs_is_told_less_often() -> None:
    """It is redacted again from its beginning with each piece."""
    assert told_by(1, "Some words of a long story.\n" * 4_000, times=6) < 0.15


def test_a_finalizer_may_stream_in_the_middle_of_it() -> None:
    """The garbage collector runs wherever something is made, also in the thread that has just put a piece."""
    is_told = threading.Event()
    stream = TextStream("t", "c", redact, lambda delta: is_told.set())

    def put_in_the_middle() -> None:
        with text_streams.teller._changed:
            stream.put("some words that are told\n")

    threading.Thread(target=put_in_the_middle, daemon=True).start()
    assert is_told.wait(SECONDS)
