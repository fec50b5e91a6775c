"""What a client may say."""

from __future__ import annotations

import copy
import json
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trace_streaming.events import CANONICAL_EVENTS
from trace_streaming.exceptions import ProtocolError
from trace_streaming.wire.profiles import V1
from trace_streaming.wire.protocol import (
    EVERYTHING,
    MAX_COMMAND_CHARACTERS,
    CloseCode,
    Command,
    EventFilter,
    WatchRequest,
    parse_acknowledged,
    parse_command,
    parse_filter,
    parse_watch_request,
)

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "id", "events"]) | st.text(), inner),
)
QUERIES = st.binary() | st.lists(
    st.builds(
        "{}={}".format,
        st.sampled_from(["since", "epoch", "events", "status", "ticket"]),
        st.text(st.characters(codec="ascii")) | st.sampled_from(["1", "%ff", "plan_created", "error,", "%00"]),
    ),
).map(lambda pairs: "&".join(pairs).encode())


def request(query: bytes) -> WatchRequest:
    return parse_watch_request("t-1", query, CANONICAL_EVENTS)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", WatchRequest("t-1")),
        (b"since=0", WatchRequest("t-1", since=0)),
        (b"since=007&epoch=ab12", WatchRequest("t-1", since=7, epoch="ab12")),
        (b"events=plan_created", WatchRequest("t-1", filter=EventFilter(frozenset({"plan_created"})))),
        (
            b"events=plan_created,%20tool_call_error%20,&status=error",
            WatchRequest(
                "t-1", filter=EventFilter(frozenset({"plan_created", "tool_call_error"}), frozenset({"error"}))
            ),
        ),
        (b"events=,&status=", WatchRequest("t-1")),
        (b"ticket=x&unknown=y", WatchRequest("t-1")),
    ],
)
def test_a_url_says_what_is_watched(query: bytes, expected: WatchRequest) -> None:
    """Each parameter of the protocol is understood, and those of others are left to them."""
    assert request(query) == expected


@pytest.mark.parametrize("since", ["", "-1", "1.5", "%2B1", "%201", "1e3", "x", "0x1", "%D9%A1", "9" * 19, "None"])
def test_a_bad_since_is_refused(since: str) -> None:
    """A place in the log that cannot be understood is never taken for another one."""
    with pytest.raises(ProtocolError, match="Bad since") as raised:
        request(f"since={since}".encode())
    assert raised.value.code == CloseCode.BAD_REQUEST


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"events=plan", "Bad events: plan unknown. Known: plan_created, "),
        (b"events=plan_created,b,a", "Bad events: a, b unknown"),
        (b"status=done", "Bad status: done unknown. Known: pending, running, success, warning, error"),
        (b"since=1&since=2", "since is given more than once"),
        (b"\xff=1", "Bad query"),
        (b"since=%ff", "Bad query"),
        (b"&".join(b"a=1" for _ in range(33)), "Bad query"),
    ],
)
def test_a_bad_query_is_refused_with_what_is_wrong(query: bytes, message: str) -> None:
    """Who writes a client reads in the error what to change."""
    with pytest.raises(ProtocolError) as raised:
        request(query)
    assert message in raised.value.message
    assert raised.value.code == CloseCode.BAD_REQUEST


@pytest.mark.parametrize("word", ["events", "subscribe"])
def test_a_stranger_is_not_told_the_projects_own_names(word: str) -> None:
    """A URL is read before anybody is asked who he is; extra events may tell what the project does."""
    names = [*CANONICAL_EVENTS, "refund_paid"]
    with pytest.raises(ProtocolError) as raised:
        if word == "events":
            parse_watch_request("t-1", b"events=dance", names)
        else:
            parse_filter({"events": ["dance"]}, names)
    assert "plan_created" in raised.value.message
    assert "refund_paid" not in raised.value.message
    assert parse_watch_request("t-1", b"events=refund_paid", names).filter.matches("refund_paid", "success")


@pytest.mark.parametrize("trace_id", ["", "a b", "a/b", "x" * 129, "é", "a\n"])
def test_a_bad_trace_id_is_refused(trace_id: str) -> None:
    """The letters of a trace id are those of the emitter."""
    with pytest.raises(ProtocolError, match="Bad trace id"):
        parse_watch_request(trace_id, b"", CANONICAL_EVENTS)


@pytest.mark.parametrize("text", ["x" * 100_000, "a," * 50_000])
def test_an_error_repeats_little_of_what_the_client_sent(text: str) -> None:
    """The answer to a huge request is small."""
    for parameter in ("since", "events", "status"):
        with pytest.raises(ProtocolError) as raised:
            request(f"{parameter}={text}".encode())
        assert len(raised.value.message) < 1000


@hypothesis.settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())) | st.just("t-1"), QUERIES)
def test_any_url_is_understood_or_refused(trace_id: str, query: bytes) -> None:
    """Nothing that a client puts into a URL is an error of the server."""
    try:
        watch = parse_watch_request(trace_id, query, CANONICAL_EVENTS)
    except ProtocolError as error:
        assert error.message
    else:
        assert watch.since is None or watch.since >= 0


@hypothesis.settings(deadline=None)
@given(
    st.none()
    | st.text(st.characters(exclude_categories=()))
    | JSON_VALUES.map(json.dumps)
    | st.dictionaries(st.sampled_from(["type", "id"]), JSON_VALUES, min_size=1).map(json.dumps)
)
def test_any_command_is_understood_or_refused(text: str | None) -> None:
    """Nothing that a client sends is an error of the server."""
    try:
        command = parse_command(text)
    except ProtocolError as error:
        assert error.message
    else:
        assert isinstance(command.type, str)
        assert "type" not in command.arguments


@hypothesis.settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["events", "status", "sequence"]), JSON_VALUES))
def test_any_arguments_are_understood_or_refused(arguments: dict[str, Any]) -> None:
    """The arguments of a command come from outside, too."""
    for parse in (lambda: parse_filter(arguments, CANONICAL_EVENTS), lambda: parse_acknowledged(arguments)):
        try:
            parse()
        except ProtocolError as error:
            assert error.code == CloseCode.BAD_REQUEST


def test_a_command_has_a_type_an_id_and_arguments() -> None:
    """The id is the client's own, whatever it is; the rest are the arguments."""
    assert parse_command('{"type":"subscribe","id":7,"status":["error"]}') == Command(
        "subscribe", 7, {"status": ["error"]}
    )
    assert parse_command('{"type":"ping"}') == Command("ping")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "binary"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("NaN", "not JSON"),
        ("\ud800", "not JSON"),
        ("[" * 60_000, "not JSON"),
        ("[]", '"type"'),
        ("{}", '"type"'),
        ('{"type":1}', '"type"'),
        ('"ping"', '"type"'),
    ],
)
def test_what_is_no_command_is_refused_with_what_is_wrong(text: str | None, message: str) -> None:
    """A malformed command has an answer, and the answer helps."""
    with pytest.raises(ProtocolError, match=message) as raised:
        parse_command(text)
    assert raised.value.code == CloseCode.BAD_REQUEST


def test_a_command_that_is_too_large_is_refused_unread() -> None:
    """The limit itself is allowed; one character more has its own code."""
    text = '{"type":"x"}'.ljust(MAX_COMMAND_CHARACTERS)
    assert parse_command(text).type == "x"
    with pytest.raises(ProtocolError) as raised:
        parse_command(text + " ")
    assert raised.value.code == CloseCode.TOO_LARGE


@pytest.mark.parametrize("id_text", ["7", '"a"', "null", "[" * 300 + "]" * 300], ids=["number", "text", "null", "deep"])
def test_any_command_can_be_answered(id_text: str) -> None:
    """An id that is understood can be sent back; one that cannot is refused, and ends no socket."""
    try:
        command = parse_command(f'{{"type":"subscribe","id":{id_text}}}')
    except ProtocolError:
        return
    assert json.loads(V1.result(command.id)) == {"type": "result", "id": command.id}


@pytest.mark.parametrize("sequence", [-1, 1.0, True, "1", None, []])
def test_an_acknowledgement_of_no_number_is_refused(sequence: object) -> None:
    """What was received is counted in whole events."""
    with pytest.raises(ProtocolError, match="Bad ack"):
        parse_acknowledged({"sequence": sequence})
    assert parse_acknowledged({"sequence": 0}) == 0


@pytest.mark.parametrize("arguments", [{}, {"events": None}, {"events": [], "status": []}])
def test_no_names_are_no_filter(arguments: dict[str, Any]) -> None:
    """A filter that names nothing lets everything through."""
    assert parse_filter(arguments, CANONICAL_EVENTS) == EVERYTHING


@pytest.mark.parametrize("names", ["plan_created", {"plan_created": 1}, [1], [["plan_created"]], ["nope"], True])
def test_a_filter_of_no_names_is_refused(names: object) -> None:
    """A filter that is not understood is not taken for another one."""
    with pytest.raises(ProtocolError, match="Bad events"):
        parse_filter({"events": names}, CANONICAL_EVENTS)


@pytest.mark.parametrize(
    ("events", "statuses", "wanted"),
    [
        (None, None, True),
        ({"plan_created"}, None, True),
        ({"tool_call_start"}, None, False),
        (None, {"success"}, True),
        ({"plan_created"}, {"error"}, False),
    ],
)
def test_a_filter_wants_what_both_its_parts_want(
    events: set[str] | None, statuses: set[str] | None, wanted: bool
) -> None:
    """Names and statuses narrow each other. Invariant 8: replay and live both ask this one method."""
    chosen = EventFilter(
        None if events is None else frozenset(events), None if statuses is None else frozenset(statuses)
    )
    assert chosen.matches("plan_created", "success") is wanted


def test_close_codes_say_whether_to_come_back() -> None:
    """Clients decide by the number alone."""
    come_back = {code.name for code in CloseCode if 4000 <= code < 4100}
    assert come_back == {"GOING_AWAY", "TOO_SLOW", "TOO_MANY", "CREDENTIALS_EXPIRED"}
    assert all(code in (1000, *range(4000, 4100), *range(4400, 4500)) for code in CloseCode)


def test_a_protocol_error_can_be_copied() -> None:
    """An error that crosses a process or thread pool arrives with its code."""
    copied = copy.copy(ProtocolError(CloseCode.TOO_MANY, "slow down"))
    assert (copied.code, copied.message) == (4029, "slow down")


@pytest.mark.parametrize(
    ("since", "epoch", "contradicts"),
    [(None, None, False), (3, None, False), (3, "e1", False), (4, "e1", True), (1, "e0", True), (None, "e0", False)],
)
def test_a_resume_beyond_the_head_or_of_another_epoch_is_of_another_life(
    since: int | None, epoch: str | None, contradicts: bool
) -> None:
    """Against a log that ends at 3, in epoch e1."""
    assert WatchRequest("t", since, epoch).contradicts(3, "e1") is contradicts
