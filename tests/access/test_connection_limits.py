"""How much each may take, counted and given back exactly."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from trace_streaming.access.connection_limits import Place, network_of, places
from trace_streaming.exceptions import ProtocolError


@pytest.fixture(autouse=True)
def _places_are_given_back() -> Iterator[None]:
    """Invariant 7."""
    places.reset()
    yield
    assert places.taken() == {}
    places.reset()


def refusal(address: str = "192.0.2.1", trace_id: str = "t", user: object = None) -> str:
    place = Place()
    with pytest.raises(ProtocolError) as error:
        place.enter(address)
        place.watch(trace_id, user)
    place.give_back()
    assert error.value.code == 4029
    return error.value.message


@pytest.mark.parametrize(
    ("limit", "same", "words"),
    [
        ("connections", {}, "to this process"),
        ("connections_per_address", {"address"}, "from this address"),
        ("connections_per_trace", {"trace"}, "to this trace"),
        ("connections_per_user", {"user"}, "of this user"),
    ],
)
def test_a_place_too_many_is_refused(settings: Settings, limit: str, same: set[str], words: str) -> None:
    """Of what the limit counts, not of others; and free again when somebody leaves."""
    settings.TRACE_STREAMING_LIMITS = {limit: 2}

    def arguments(number: int) -> tuple[str, str, object]:
        n = [0 if what in same or limit == "connections" else number for what in ("address", "trace", "user")]
        return f"192.0.2.{n[0]}", f"t{n[1]}", n[2]

    taken = [Place() for _ in range(2)]
    for number, place in enumerate(taken):
        address, trace_id, user = arguments(number)
        place.enter(address)
        place.watch(trace_id, user)
    message = refusal(*arguments(2))
    assert words in message
    assert "retry in 10 s" in message
    taken[0].give_back()
    place = Place()
    place.enter(arguments(3)[0])
    place.watch(*arguments(3)[1:])
    for each in (*taken, place):
        each.give_back()
        each.give_back()  # a second time nothing happens


def test_nobody_in_particular_has_no_limit_of_a_user(settings: Settings) -> None:
    """Anonymous watchers are counted by address and trace."""
    settings.TRACE_STREAMING_LIMITS = {"connections_per_user": 1}
    taken = [Place() for _ in range(3)]
    for place in taken:
        place.enter("192.0.2.1")
        place.watch("t", None)
    for place in taken:
        place.give_back()


def test_none_is_no_limit(settings: Settings) -> None:
    """For who knows better."""
    settings.TRACE_STREAMING_LIMITS = {"connections_per_address": None, "connects_per_address": None}
    taken = [Place() for _ in range(6001)]
    for place in taken:
        place.enter("192.0.2.1")
    for place in taken:
        place.give_back()


def test_attempts_of_an_address_are_counted(settings: Settings) -> None:
    """Refused ones too, and those of others not."""
    settings.TRACE_STREAMING_LIMITS = {"connects_per_address": "3/min", "connections_per_address": 1}
    first = Place()
    first.enter("192.0.2.1")
    assert "from this address: at most 1" in refusal()
    assert "from this address: at most 1" in refusal()
    assert "Too many connections at once from this address; retry in 20 s" in refusal()
    other = Place()
    other.enter("192.0.2.2")
    first.give_back()
    other.give_back()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("2001:db8:1:3::", "2001:db8:1:3::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", "unknown"),
    ],
)
def test_who_has_one_address_of_ipv6_has_many(address: str, network: str) -> None:
    """A network of 64 bits is what one client gets."""
    assert network_of(address) == network


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_none_of_its_parents_places() -> None:
    """It serves none of its parent's sockets."""
    place = Place()
    place.enter("192.0.2.1")
    child = os.fork()
    if child == 0:
        os._exit(len(places.taken()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    place.give_back()
