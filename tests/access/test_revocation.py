"""Open sockets are asked again and again, cheaply, and whatever happens to one of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from threading import Event
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.db import OperationalError
from pytest_django import Settings
from rest_framework.request import Request

from tests.access.handshakes import handshake, log_in
from trace_streaming.access import revocation
from trace_streaming.access.admission import EXPIRED, judge
from trace_streaming.access.authentication import Credentials, Handshake, as_request
from trace_streaming.access.revocation import CHUNK, revocation_checker
from trace_streaming.exceptions import ProtocolError
from trace_streaming.wire.protocol import Ending

pytestmark = pytest.mark.django_db(transaction=True)


class Pass:
    """Credentials that a test can take back."""

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.asked = 0
        self.answer: Callable[[], None] = lambda: None

    def authenticate(self) -> Request:
        self.asked += 1
        self.answer()
        request = as_request(handshake())
        request.user = AnonymousUser()
        return request

    def expire(self) -> None:
        def refuse() -> None:
            raise ProtocolError(4401, "expired")

        self.answer = refuse


class Socket:
    """An open socket."""

    def __init__(self, credentials: Credentials, trace_id: str = "t") -> None:
        self.credentials: Any = credentials
        self.trace_id = trace_id
        self.opened_at = asyncio.get_running_loop().time()
        self.ended = asyncio.Event()
        self.ending: Ending | None = None
        revocation_checker().add(self)

    def end(self, ending: Ending) -> None:
        self.ending = ending
        self.ended.set()
        revocation_checker().discard(self)


@pytest.fixture(autouse=True)
def _quick(settings: Settings) -> None:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    settings.TRACE_STREAMING_RECHECK_SECONDS = 0.001


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    """With the last socket the checker, its task and its thread go."""
    yield
    for each in list(revocation._checkers.values()):
        for socket in list(each._sockets):
            each.discard(socket)
    assert revocation._checkers == {}


async def asked_again(credentials: Pass, times: int = 2) -> None:
    """Wait until these credentials were asked for so often from now."""
    until = credentials.asked + times
    async with asyncio.timeout(60):
        while credentials.asked < until:
            await asyncio.sleep(0.001)


async def ended(*sockets: Socket) -> None:
    async with asyncio.timeout(60):
        for socket in sockets:
            await socket.ended.wait()


async def test_whoever_may_not_stay_is_ended_and_the_others_are_not() -> None:
    good, bad = Socket(Pass("good")), Socket(Pass("bad"))
    await asked_again(bad.credentials)
    bad.credentials.expire()
    await ended(bad)
    assert bad.ending == EXPIRED
    await asked_again(good.credentials)
    assert good.ending is None


async def test_sockets_that_are_alike_are_asked_once_and_end_together() -> None:
    """A browser's tabs on one trace cost as much as one."""
    sockets = [Socket(Pass("same")) for _ in range(10)]
    other = Socket(Pass("same"), "another trace")
    await asked_again(other.credentials, 3)
    assert sum(socket.credentials.asked > 0 for socket in sockets) <= 2
    for socket in sockets:
        socket.credentials.expire()
    await ended(*sockets)
    assert other.ending is None


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[int]:
    """How many are asked for at a time, from now on."""
    asked: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def noted(watchers: Sequence[tuple[Credentials, str]]) -> list[Ending | None]:
        loop.call_soon_threadsafe(asked.put_nowait, len(watchers))
        return judge(watchers)

    monkeypatch.setattr(revocation, "judge", noted)
    return asked


@pytest.mark.parametrize(
    ("policy", "at_a_time"),
    [("rest_framework.permissions.IsAuthenticated", 2), ("trace_streaming.permissions.IsOwnerOrMayViewTraces", 20)],
)
async def test_a_session_is_asked_for_once_where_the_policy_looks_at_its_user_alone(
    asked: asyncio.Queue[int], settings: Settings, policy: str, at_a_time: int
) -> None:
    """And for each trace where it looks at the trace, too; all of its sockets end with it."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [policy]
    users = [await sync_to_async(User.objects.create_superuser)(name) for name in ("ada", "staff")]
    session, other = [await sync_to_async(log_in)(user) for user in users]
    of_ada, of_staff = (
        [Socket(Handshake(handshake(cookie=f"sessionid={key}", x_number=str(n))), f"t{n}") for n in range(10)]
        for key in (session, other)
    )
    async with asyncio.timeout(60):
        assert await asked.get() == at_a_time
    await sync_to_async(Session.objects.filter(session_key=session).delete)()
    await ended(*of_ada)
    assert {socket.ending for socket in of_ada} == {EXPIRED}
    assert {socket.ending for socket in of_staff} == {None}


async def test_a_socket_that_renews_while_it_is_asked_stays() -> None:
    """The answer was about credentials that it has no more."""
    socket = Socket(Pass("old"))
    old, new = socket.credentials, Pass("new")

    def renew_and_refuse() -> None:
        socket.credentials = new
        raise ProtocolError(4401, "expired")

    old.answer = renew_and_refuse
    await asked_again(new)
    assert socket.ending is None


async def test_age_ends_a_socket_even_if_it_may(settings: Settings) -> None:
    settings.TRACE_STREAMING_MAX_AGE_SECONDS = 60
    young, old = Socket(Pass("young")), Socket(Pass("old"))
    old.opened_at -= 61
    await ended(old)
    assert old.ending == EXPIRED
    await asked_again(young.credentials)
    assert young.ending is None


async def test_none_is_no_age(settings: Settings) -> None:
    settings.TRACE_STREAMING_MAX_AGE_SECONDS = None
    socket = Socket(Pass("old"))
    socket.opened_at -= 10**9
    await asked_again(socket.credentials)
    assert socket.ending is None


async def test_a_database_that_is_away_ends_nobody_and_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """Said once, not with every look; age holds meanwhile."""
    socket = Socket(Pass("a"))

    def away() -> None:
        raise OperationalError("secret host")

    socket.credentials.answer = away
    await asked_again(socket.credentials, 5)
    assert socket.ending is None
    assert [record.getMessage() for record in caplog.records] == [
        "Asking whether sockets may stay fails (OperationalError)"
    ]
    socket.credentials.expire()
    await ended(socket)


async def test_an_error_of_one_does_not_keep_the_others_from_being_asked() -> None:
    """Whoever could make one would stay for ever, and so would all behind him."""
    sockets = [Socket(Pass(number)) for number in range(2 * CHUNK)]
    broken, last = sockets[0], sockets[-1]

    def fail() -> None:
        raise ZeroDivisionError

    broken.credentials.answer = fail
    for socket in sockets[1:]:
        socket.credentials.expire()
    await ended(*sockets)
    assert broken.ending is not None
    assert (broken.ending.code, last.ending) == (4001, EXPIRED)


async def test_no_more_than_a_tenth_of_the_time_is_spent_on_it() -> None:
    """However many there are, and however much each costs."""

    def work() -> None:
        sum(range(100_000))

    sockets = [Socket(Pass(number)) for number in range(CHUNK)]
    for socket in sockets:
        socket.credentials.answer = work
    spent: list[float] = []
    real = revocation._ask_all

    def measured(asked: Any) -> Any:
        answers = real(asked)
        spent.append(answers.seconds)
        return answers

    loop = asyncio.get_running_loop()
    try:
        revocation._ask_all = measured
        began = loop.time()
        await asked_again(sockets[-1].credentials, 3)
        took = loop.time() - began
    finally:
        revocation._ask_all = real
    assert sum(spent[:2]) > 0.01
    assert took >= revocation.REST * sum(spent[:2])


async def test_a_flood_of_handshakes_is_not_waited_for() -> None:
    """They are asked in the loop's own threads, all of which may be busy."""
    held = Event()
    busy = [asyncio.create_task(asyncio.to_thread(held.wait, 30)) for _ in range(64)]
    try:
        socket = Socket(Pass("a"))
        await asked_again(socket.credentials)
    finally:
        held.set()
        await asyncio.gather(*busy)


def test_a_loop_that_was_closed_with_sockets_open_is_forgotten() -> None:
    """Tests and scripts do that."""

    async def leave_open() -> None:
        Socket(Pass("a"))

    asyncio.run(leave_open())

    async def another() -> int:
        socket = Socket(Pass("b"))
        loops = len(revocation._checkers)
        socket.end(EXPIRED)
        return loops

    assert asyncio.run(another()) == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
async def test_a_forked_child_asks_nobody() -> None:
    """It has none of its parent's sockets."""
    Socket(Pass("a"))
    child = os.fork()
    if child == 0:
        os._exit(len(revocation._checkers))
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
