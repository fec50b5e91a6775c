"""Ids pair events: what is random in them is nobody's number."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator

import pytest

from trace_streaming.events import CALL_ID_KEYS
from trace_streaming.events.freezing import freeze_details
from trace_streaming.redaction import redact

CARD = "4111111111111111"
SPARED = sorted(CALL_ID_KEYS)


def random_ids(count: int) -> Iterator[str | int]:
    """Of 64 and 128 bits, as programs write them."""
    bits = random.Random(20).getrandbits
    for _ in range(count // 8):
        yield from (f"{bits(64):016x}", f"{bits(128):032x}", str(uuid.UUID(int=bits(128))), f"{bits(64):016X}")
        yield from (str(bits(64)), str(bits(128)), bits(63), f"call_{bits(64):016x}")


def assert_unchanged(ids: Iterator[str | int]) -> None:
    for given in ids:
        details = dict.fromkeys(SPARED, given)
        assert redact(freeze_details(details)) == details


def test_random_ids_are_never_rewritten() -> None:
    """Of 200,000 some look like a card's number; pairs would be torn apart."""
    assert_unchanged(random_ids(40_000))


@pytest.mark.thorough
@pytest.mark.takes(seconds=30)
def test_a_million_random_ids_are_never_rewritten() -> None:
    """The same, as often as it takes to be sure."""
    assert_unchanged(random_ids(1_000_000))


@pytest.mark.parametrize("key", SPARED)
@pytest.mark.parametrize("number", [CARD, int(CARD), "+14155552671", "078-05-1120", "DE89370400440532013000"])
def test_an_id_of_digits_is_no_number_of_a_person(key: str, number: str | int) -> None:
    """Whoever numbers calls may reach any number."""
    assert redact({key: number}) == {key: number}


@pytest.mark.parametrize("key", SPARED)
@pytest.mark.parametrize(
    "secret",
    ["ghp_" + "a1B2" * 9, "sk-ant-api03-" + "a1B2" * 23 + "AA", "ada@example.com", "https://ada:hunter2@example.com/"],
)
def test_an_id_that_is_a_secret_goes(key: str, secret: str) -> None:
    """A token is one wherever it stands. Invariant 4."""
    assert "[redacted:" in str(redact({key: secret})[key])


@pytest.mark.parametrize(
    "text", ["4111 1111 1111 1111", "x" * 120 + " " + CARD, "call (415) 555-2671", "\u0661 " + CARD]
)
def test_what_has_not_the_form_of_an_id_is_a_text(text: str) -> None:
    """Under an id's key, too. Invariant 4."""
    assert "[redacted:" in str(redact({"call_id": text})["call_id"])


def test_an_id_inside_of_arguments_is_the_callers() -> None:
    """A telephone system's call has a number; only the event's own ids pair events. Invariant 4."""
    assert redact({"args": {"call_id": "+14155552671"}}) == {"args": {"call_id": "[redacted:phone]"}}


def test_an_id_is_spared_among_thousands_of_values() -> None:
    """Where there is too much to look at, what pairs the event is looked at first."""
    details = {**{f"key {number}": f"a {number} (415) 555-2671" for number in range(6_000)}, "call_id": CARD}
    assert redact(freeze_details(details))["call_id"] == CARD
