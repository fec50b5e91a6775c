"""What must go goes, and what must stay stays, wherever it was planted and wherever an attacker could look."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import time
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.redaction_corpus import INNOCENT_DETAILS, INNOCENT_TEXTS, PASSWORD, PERSONAL, TOKENS, secrets
from trace_streaming import TraceEmitter, emit_trace_event
from trace_streaming.events.freezing import encode, freeze_details
from trace_streaming.models import Event, Trace
from trace_streaming.redaction import redact, redact_text
from trace_streaming.redaction.formats import token_shapes
from trace_streaming.routing import websocket_urlpatterns

SECRETS = secrets()
INNOCENTS = [*INNOCENT_DETAILS, *({"text": text} for text in INNOCENT_TEXTS)]


def shown(details: dict[str, Any]) -> str:
    return encode(redact(freeze_details(details)))


def pieces(secret: str) -> set[str]:
    """The secret, and its halves: none may be read."""
    half = max(len(secret) // 2, 6)
    texts = {secret, secret[:half], secret[-half:]} if len(secret) >= 2 * half else {secret}
    return texts | {encode(text)[1:-1] for text in texts}


def prefix_shown(secret: str) -> bool:
    """Of an armoured key and of a URL, the first half is no secret."""
    return secret.startswith("-----")


def test_the_corpus_is_large_enough() -> None:
    """At least 150 of each, all different."""
    assert len({str(secret.carrier) for secret in SECRETS}) == len(SECRETS) >= 150
    assert len({str(innocent) for innocent in INNOCENTS}) == len(INNOCENTS) >= 150


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: str(secret.carrier)[:60])
def test_a_secret_goes(secret: Any) -> None:
    """No part of it can be read, and a marker that names a rule stands where it was. Invariant 4."""
    details = secret.carrier if isinstance(secret.carrier, dict) else {"text": secret.carrier}
    text = shown(details)
    assert [piece for piece in pieces(secret.secret) if piece in text] == []
    assert "[redacted:" in text


@pytest.mark.parametrize("secret", [*TOKENS, *PERSONAL], ids=lambda secret: secret[:30])
def test_only_the_secret_goes(secret: str) -> None:
    """What stands before and behind it in a text stays readable."""
    text = redact_text(f"before {secret} behind")
    assert text.startswith("before [redacted:")
    assert text.endswith("] behind")


@pytest.mark.parametrize("innocent", INNOCENTS, ids=lambda innocent: str(innocent)[:60])
def test_an_innocent_stays(innocent: dict[str, Any]) -> None:
    """A trace full of holes is of no use: byte for byte what was emitted."""
    assert shown(innocent) == encode(freeze_details(innocent))


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: str(secret.carrier)[:60])
def test_redacting_twice_is_redacting_once(secret: Any) -> None:
    """Markers are left alone, and make a secret of nothing else."""
    once = redact(freeze_details(secret.carrier if isinstance(secret.carrier, dict) else {"text": secret.carrier}))
    assert redact(copy.deepcopy(once)) == once


@dataclasses.dataclass
class Record:
    """As a project's own may look."""

    name: str
    payload: Any


def nested(levels: int) -> Callable[[Any], Any]:
    def nest(value: Any) -> Any:
        for level in range(levels):
            value = {"level": value} if level % 2 else [value]
        return value

    return nest


SHAPES: dict[str, Callable[[Any], Any]] = {
    "plain": lambda value: value,
    "two levels": nested(2),
    "thirty levels": nested(30),
    "tuple": lambda value: ("first", value),
    "set": lambda value: {value if isinstance(value, str) else str(value), "other"},
    "dataclass": lambda value: Record("name", value),
    "json": lambda value: json.dumps({"inner": value}, default=str),
    "json in json": lambda value: json.dumps({"inner": json.dumps([value], default=str)}),
    "exception": lambda value: RuntimeError(f"failed: {value}"),
    "key error": lambda value: KeyError(str(value)),
    "bytes": lambda value: str(value).encode(),
    "key": lambda value: {f"{value}": 1, "other": 2},
    "long text": lambda value: "word " * 2000 + f"{value}, word" + " word" * 2000,
    "log line": lambda value: f"2026-01-05 12:00:00,123 ERROR app.views: {value}\n",
    "python text": lambda value: repr({"inner": value}),
}
PLANTED = [
    *((token, token) for token in (*TOKENS, *PERSONAL)),
    *((text, PASSWORD) for text in (str(secret.carrier) for secret in SECRETS) if PASSWORD in text and text[0] != "{"),
]
plants = st.tuples(st.sampled_from(PLANTED), st.lists(st.sampled_from(sorted(SHAPES)), max_size=3))


def plant(text: str, shapes: list[str]) -> Any:
    value: Any = text
    for shape in shapes:
        value = SHAPES[shape](value)
    return value


def readable(text: str, secret: str) -> bool:
    """Whether a secret is in a text, however often its quotes and line breaks were escaped."""
    folded, sought = (each.replace("\\", "").replace("\n", "n") for each in (text, secret))
    return sought in folded or encode(sought)[1:-1].replace("\\", "") in folded


@settings(deadline=None, max_examples=400)
@given(plants)
def test_a_planted_secret_is_found_in_any_shape(planted: tuple[tuple[str, str], list[str]]) -> None:
    """Two and thirty levels deep, in tuples, sets, dataclasses, JSON, exceptions, keys, and these in each other."""
    (text, secret), shapes = planted
    assert not readable(shown({"value of": plant(text, shapes)}), secret)


@pytest.mark.parametrize("inside", [[], ["log line"]], ids=str)
@pytest.mark.parametrize("levels", range(1, 5))
def test_a_planted_secret_is_found_however_often_it_is_escaped(levels: int, inside: list[str]) -> None:
    """Each level of JSON in JSON doubles the backslashes before a quote or an ``n``; what is looked at is bounded."""
    shapes = [*inside, *["json in json"] * levels]
    assert [text for text, secret in PLANTED if readable(shown({"value of": plant(text, shapes)}), secret)] == []


@pytest.mark.django_db(transaction=True)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plants)
def test_a_planted_secret_reaches_nobody(
    settings: Any, caplog: pytest.LogCaptureFixture, planted: tuple[tuple[str, str], list[str]]
) -> None:
    """Not the storage, the wire, the log or ``.events``; by details, metadata or approvals. Invariant 4."""
    (text, secret), shapes = planted
    settings.TRACE_STREAMING_RECORDER = "inline"
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    value = plant(text, shapes)
    emitter = TraceEmitter(metadata={"about": value})
    emitter.emit("tool_call_complete", {"tool": text, "result": value})
    emitter.emit("approval_requested", {"approval_id": "a1", "tool_name": text, "reason": value})
    emitter.emit("approval_received", {"approval_id": "a1", "decision": value})
    with pytest.raises(RuntimeError), emitter.tool_call("search", query=value) as call:
        call.result = value
        raise RuntimeError(str(value))
    async_to_sync(emit_trace_event)(emitter.trace_id, {"event": "plan_created", "details": {"plan": value}})
    rows = [
        *Trace.objects.filter(trace_id=emitter.trace_id).values(),
        *Event.objects.filter(trace__trace_id=emitter.trace_id).values(),
    ]
    assert len(rows) == 7
    frames = async_to_sync(received)(emitter.trace_id, 6)
    for seen in (str(rows), str(emitter.events), str(emitter.get_trace()), caplog.text, *frames):
        assert not readable(seen, secret)


async def received(trace_id: str, count: int) -> list[str]:
    socket = WebsocketCommunicator(URLRouter(websocket_urlpatterns), f"/ws/traces/{trace_id}?since=0")
    assert (await socket.connect(timeout=60))[0]
    try:
        return [await socket.receive_from(timeout=60) for _ in range(count + 1)]
    finally:
        await socket.disconnect(timeout=60)


TOKEN_PREFIXES = [
    list(prefixes)
    for _, prefixes in groupby(
        sorted({each.prefix for each in (*token_shapes.SHAPES, *token_shapes.PATTERNS)}), key=itemgetter(0)
    )
]
"""By their first letters."""
HOSTILE = [
    *(
        "a",
        "A",
        "0",
        "1 ",
        "1.",
        "1-2-",
        "-",
        "_",
        ".",
        "a.",
        "a-",
        "/",
        "@",
        "a@",
        "a@b.",
        "%40",
        "\\",
        '"',
        "'",
        "<",
        "(",
    ),
    *("4111 1111 1111 1112 ", "DE89 3704 ", "+1 415 ", "+49 ", "( 0", "0171 ", "01 23 45 ", "123-45-"),
    *("://", "://a:", "://a:b@", "-----BEGIN ", "-----BEGIN A ", "-----BEGIN PRIVATE KEY-----", "Basic ", "bearer "),
    *("1-sk-", "-eyJaaaaaaaaaaaa", "1-SG.aaaaaaaaaaaaaaaa-", "1-npm_", "MMMMMMMMMMMMMMMMMMMMMMMMM.", "123456789:AA"),
    *("password", "password=", "password: ", 'password="', 'password=\\"', "password=!", "password=<", "token='"),
    *("token=token.", "token:token:", "token = self.", "token==", "token::", "--password ", "password is ", "api key "),
    *('{"password":{', '{"password":["', "cookie: ", "cookie: a=", "authorization: bearer ", "authorization: bearer <"),
    *(
        "<password>",
        "secret phrase: apple ",
        "&sig=",
        "hooks.slack.com/services/",
        " -u a:",
        "\u0130",
        "[redacted:key]",
    ),
    *(
        "//",
        "//a:",
        "//a:b@",
        "mysql ",
        "mysql -p",
        "sshpass -p ",
        "docker login -",
        "ENV password ",
        "config set token ",
    ),
    *('name="token" ', "name='token' a='b' ", 'password" a="', "machine a.b login c password ", ": ENV", "password /"),
    *(f"{'1-'.join(prefixes)}1-" for prefixes in TOKEN_PREFIXES),
    *(f"{'aaaaaaaaaaaaaaaa-'.join(prefixes)}aaaaaaaaaaaaaaaa-" for prefixes in TOKEN_PREFIXES),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_more_than_its_length(piece: str) -> None:
    """Eight times the text takes about eight times as long; sixty-four times would be quadratic."""

    def seconds(length: int) -> float:
        text = (f"1 {piece}" + piece * (length // len(piece)))[:length]
        times = []
        for _ in range(3):
            started = time.thread_time()
            redact_text(text)
            times.append(time.thread_time() - started)
        return min(times)

    assert seconds(200_000) < 24 * max(seconds(25_000), 0.001)
