"""Tickets: for one socket, one trace and some seconds; and no longer than what has asked for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import AccessToken

from tests.access.handshakes import cookie, handshake, lock_out, log_in
from trace_streaming.access import tickets
from trace_streaming.access.authentication import Handshake
from trace_streaming.access.tickets import TICKET_SECONDS, TicketCredentials, issue, redeem
from trace_streaming.exceptions import ProtocolError
from trace_streaming.models import Ticket, stored_now
from trace_streaming.storage.times import UtcNow

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("ada", password="pass")


def request_of(user: Any, auth: object = None) -> Request:
    """A request whose user was found by what ``auth`` is; by a session, if it is None."""
    request = Request(HttpRequest())
    request.user, request.auth = user, auth
    return request


def request_with_session(user: User) -> Request:
    request = Handshake(handshake(cookie=cookie(log_in(user)))).authenticate()
    http = HttpRequest()
    from django.contrib.sessions.backends.db import SessionStore

    http.session = SessionStore(Session.objects.get().pk)
    found = Request(http)
    found.user = request.user
    return found


def use(token: str, trace_id: str = "t") -> TicketCredentials:
    return redeem(token, trace_id, handshake())


def is_over(credentials: TicketCredentials) -> bool:
    try:
        credentials.authenticate()
    except ProtocolError as error:
        assert error.code == 4401
        return True
    return False


def test_a_ticket_names_its_user(ada: User) -> None:
    """And what it is, so that permission classes can tell."""
    request = use(issue(request_of(ada), "t")).authenticate()
    assert request.user == ada
    assert isinstance(request.auth, Ticket)


def test_only_its_hash_is_stored(ada: User) -> None:
    """Who reads the table cannot use it."""
    token = issue(request_of(ada), "t")
    assert token not in str(Ticket.objects.values().get())
    with pytest.raises(ProtocolError):
        use(Ticket.objects.get().digest)


@pytest.mark.parametrize("trace_id", ["t", "other"])
def test_a_ticket_is_used_up(ada: User, trace_id: str) -> None:
    """By the first who tries, for whatever trace."""
    token = issue(request_of(ada), "t")
    if trace_id == "t":
        use(token)
    else:
        with pytest.raises(ProtocolError):
            use(token, trace_id)
    with pytest.raises(ProtocolError, match="not valid; ask for another"):
        use(token)


def test_a_ticket_waits_for_some_seconds_only(ada: User) -> None:
    """And is forgotten when the next is asked for."""
    token = issue(request_of(ada), "t")
    Ticket.objects.update(expires_at=UtcNow())
    with pytest.raises(ProtocolError):
        use(token)
    issue(request_of(ada), "t")
    Ticket.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    issue(request_of(ada), "t")
    left = Ticket.objects.get().expires_at - timezone.now()
    assert timedelta(0) < left <= timedelta(seconds=TICKET_SECONDS)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_ticket_opens_a_socket_of_a_server_whose_clock_differs(
    ada: User, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """The time that it waits is the database's."""
    token = issue(request_of(ada), "t")
    monkeypatch.setattr(tickets, "stored_now", lambda: stored_now() + timedelta(minutes=minutes))
    assert use(token).authenticate().user == ada
    token = issue(request_of(ada), "t")
    monkeypatch.undo()
    assert use(token).authenticate().user == ada


@pytest.mark.parametrize("token", ["", "x", "\ufffd", "'; --", "x" * 100_000])
def test_what_is_no_ticket(token: str) -> None:
    """Is refused like one that was used."""
    with pytest.raises(ProtocolError, match="not valid; ask for another"):
        use(token)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_try_a_ticket_at_once_one_gets_in(ada: User) -> None:
    """The row is deleted by one of them."""

    all_have_found_it = Barrier(4, timeout=10)

    def wait_for_the_others(execute: Any, sql: str, *arguments: Any) -> Any:
        answer = execute(sql, *arguments)
        if sql.startswith("SELECT"):
            all_have_found_it.wait()
        return answer

    def attempt(token: str) -> bool:
        try:
            with connection.execute_wrapper(wait_for_the_others):
                use(token)
        except ProtocolError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(attempt, [issue(request_of(ada), "t")] * 4)) == 1


@pytest.mark.parametrize("end", ["password", "deactivation", "deletion"])
def test_a_ticket_ends_with_its_user(ada: User, end: str) -> None:
    """Or the password that he had when he asked for it."""
    credentials = use(issue(request_of(ada), "t"))
    assert not is_over(credentials)
    lock_out(ada, end)
    assert is_over(credentials)


def test_a_ticket_ends_with_its_session(ada: User) -> None:
    """Logging out counts, though its socket has no cookie."""
    credentials = use(issue(request_with_session(ada), "t"))
    assert not is_over(credentials)
    Session.objects.all().delete()
    assert is_over(credentials)


def test_a_session_in_its_cookie_is_not_stored(ada: User, settings: Settings) -> None:
    """The server cannot end it; the password and the age still hold."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    issue(Handshake(handshake(cookie=cookie(log_in(ada)))).authenticate(), "t")
    assert Ticket.objects.get().session_key == ""


def test_a_ticket_ends_with_its_json_web_token(ada: User) -> None:
    """Which is short-lived on purpose."""
    token = AccessToken.for_user(ada)
    credentials = use(issue(request_of(ada, token), "t"))
    assert not is_over(credentials)
    token.set_exp(lifetime=timedelta(seconds=-1))
    assert is_over(use(issue(request_of(ada, token), "t")))


@pytest.mark.parametrize("user", ["ada", None])
def test_a_ticket_ends_with_its_stored_token(ada: User, user: str | None) -> None:
    """As REST framework's own, which is deleted to log out. A group serves as well here: any row does."""
    stored = Group.objects.create(name="as good as any row")
    credentials = use(issue(request_of(ada if user else AnonymousUser(), stored), "t"))
    assert not is_over(credentials)
    stored.delete()
    assert is_over(credentials)


@pytest.mark.parametrize("auth", ["text", {"exp": "no number"}, {"exp": 10**20}, {}, 7, User()])
def test_tokens_of_other_kinds_have_no_end_that_is_known(ada: User, auth: object) -> None:
    """Their tickets end with the user, and by age."""
    credentials = use(issue(request_of(ada, auth), "t"))
    assert not is_over(credentials)


def test_a_ticket_of_nobody_is_of_nobody_whatever_cookie_comes_with_it(ada: User) -> None:
    """Another page could get one, and have a visitor's browser use it."""
    token = issue(request_of(AnonymousUser()), "t")
    credentials = redeem(token, "t", handshake(cookie=cookie(log_in(ada))))
    assert credentials.authenticate().user.is_anonymous


def test_each_ticket_is_its_own(ada: User) -> None:
    """Two sockets of one user may end at different times."""
    first, second = (use(issue(request_of(ada), "t")) for _ in range(2))
    assert first.key != second.key
