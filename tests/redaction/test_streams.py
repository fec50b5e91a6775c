"""Text that a model says piece by piece: no secret passes, wherever it is cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.security.redaction_corpus import IN_TEXT, INNOCENT_TEXTS, PASSWORD, PERSONAL, TOKENS
from trace_streaming.redaction.known import memory
from trace_streaming.redaction.streams import MOST_CHARACTERS, StreamedText

PLANTED = [
    *((f"Here is what it says: {text} and so on.", PASSWORD) for text in IN_TEXT if PASSWORD in text),
    *((f"It is {secret} and so on.", secret) for secret in (*TOKENS, *PERSONAL)),
    ("Your code: 493817 is your login code, use it soon.", "493817"),
    (f"You may use {PASSWORD} as the passphrase, if you like.", PASSWORD),
]


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    memory.forget_traces()
    yield
    memory.forget_traces()


def streamed(*pieces: str) -> str:
    stream = StreamedText("t")
    return "".join(map(stream.add, pieces))


@pytest.mark.parametrize(("text", "secret"), PLANTED, ids=lambda value: value[:40])
def test_a_secret_that_is_cut_in_two_never_passes(text: str, secret: str) -> None:
    """At every place. Invariant 4."""
    half = max(len(secret) // 2, 4)
    for cut in range(len(text)):
        memory.forget_traces()
        shown = streamed(text[:cut], text[cut:], " And then there is more to say, quite a lot of it.\n\n")
        assert secret not in shown
        if secret[0] != "-":  # the armour of a key is none
            assert secret[:half] not in shown or secret[:half] in text.replace(secret, "")


@given(st.sampled_from(PLANTED), st.lists(st.integers(1, 12), min_size=1, max_size=12))
@settings(deadline=None, max_examples=200)
def test_a_secret_in_many_pieces_never_passes(planted: tuple[str, str], lengths: list[int]) -> None:
    """As a model writes: some letters at a time. Invariant 4."""
    memory.forget_traces()
    text, secret = planted
    pieces: list[str] = []
    at = 0
    while at < len(text):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(text[at : at + length])
        at += length
    assert secret not in streamed(*pieces, " and more words behind it, as they come. " * 4)


@pytest.mark.parametrize("text", [text for text in INNOCENT_TEXTS if 8 < len(text) < 400], ids=lambda text: text[:40])
def test_what_is_innocent_is_shown_as_it_is(text: str) -> None:
    """All of it, in order, once the words behind it have come; letter by letter, too."""
    rest = "\n\nAnd so it goes on, with words that say nothing of it, as many as there may be. " * 4
    shown = streamed(*text, *rest.split(" ") and [rest])
    assert shown.startswith(text)
    assert (text + rest).startswith(shown)


def test_words_come_at_once_and_numbers_a_little_later() -> None:
    """A reader sees the text grow: only the last word is held back."""
    stream = StreamedText("t")
    assert stream.add("The weather in Pa") == "The weather in "
    assert stream.add("ris is fine to") == "Paris is fine "
    assert stream.add("day.\n") == "today.\n"
    assert stream.offset == len("The weather in Paris is fine today.\n")


def test_a_value_that_was_hidden_in_the_trace_does_not_pass() -> None:
    """Whatever the model says of it. Invariant 12."""
    memory.remember("t", ["kJ8fxQ2z9Lm4"])
    assert "kJ8f" not in streamed("I have used kJ8f", "xQ2z9Lm4 for it, as you", " said I should, and it was fine.\n")


def test_a_long_stream_is_bounded() -> None:
    """Its time is that of its length, and what is too long is not shown."""
    stream = StreamedText("t")
    line = "A line of words that says nothing, and then the next.\n\n"
    shown = sum(len(stream.add(line * 100)) for _ in range(MOST_CHARACTERS // (len(line) * 100) + 2))
    assert 0.9 * MOST_CHARACTERS < shown <= MOST_CHARACTERS
    assert len(stream._raw) < 20_000
