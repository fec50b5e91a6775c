"""Who is there: every kind of credentials, and none of them changed by being looked at."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken

from tests.access.handshakes import basic, cookie, handshake, lock_out, log_in
from trace_streaming.access.authentication import Handshake, without_cookies
from trace_streaming.access.hidden_tickets import TICKET_KEY, hide_ticket
from trace_streaming.exceptions import ProtocolError

pytestmark = pytest.mark.django_db

BASIC = "rest_framework.authentication.BasicAuthentication"
JWT = "rest_framework_simplejwt.authentication.JWTAuthentication"
ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]


@pytest.fixture
def ada(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("ada", password="pass")


def user_of(scope: dict[str, Any]) -> Any:
    return Handshake(scope).authenticate().user


def refuses(scope: dict[str, Any]) -> bool:
    with pytest.raises(ProtocolError) as error:
        Handshake(scope).authenticate()
    return error.value.code == 4401


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_of_every_engine_counts(ada: User, settings: Settings, engine: str, tmp_path: Any) -> None:
    """Whatever the project keeps its sessions in."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    assert user_of(handshake(cookie=cookie(log_in(ada)))) == ada
    assert user_of(handshake(cookie=cookie("forged" * 6))).is_anonymous
    assert user_of(handshake(cookie='sessionid="aaaaaaaa\\000"')).is_anonymous


@pytest.mark.parametrize("classes", [[BASIC], [JWT], [JWT, BASIC]])
@pytest.mark.parametrize("nobody", [None, AnonymousUser])
def test_a_session_counts_beside_other_classes(
    ada: User, settings: Settings, monkeypatch: pytest.MonkeyPatch, classes: list[str], nobody: object
) -> None:
    """Without ``SessionAuthentication`` among them, and whatever REST framework calls nobody."""
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = classes
    monkeypatch.setattr(api_settings, "UNAUTHENTICATED_USER", nobody)
    assert user_of(handshake(cookie=cookie(log_in(ada)))) == ada
    assert user_of(handshake()).is_anonymous


def test_a_session_is_only_read(ada: User, settings: Settings) -> None:
    """Nothing is written to it: a handshake that fails must not log a browser out."""
    key = log_in(ada)
    before = Session.objects.values().get()
    user_of(handshake(cookie=cookie(key)))
    ada.set_password("another")
    ada.save()
    assert user_of(handshake(cookie=cookie(key))).is_anonymous
    assert Session.objects.values().get() == before


def test_a_session_signed_with_an_old_secret_key_counts(ada: User, settings: Settings) -> None:
    """As long as it is among ``SECRET_KEY_FALLBACKS``; its key stays, because a handshake sets no cookie."""
    key = log_in(ada)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    assert user_of(handshake(cookie=cookie(key))) == ada
    assert Session.objects.get().pk == key
    settings.SECRET_KEY_FALLBACKS = []
    assert user_of(handshake(cookie=cookie(key))).is_anonymous


@pytest.mark.parametrize("end", ["logout", "expiry", "password", "deactivation", "deletion"])
def test_a_session_that_has_ended_is_nobodys(ada: User, end: str) -> None:
    """The same handshake, asked again."""
    credentials = Handshake(handshake(cookie=cookie(log_in(ada))))
    assert credentials.authenticate().user == ada
    match end:
        case "logout":
            Session.objects.all().delete()
        case "expiry":
            Session.objects.update(expire_date="2000-01-01T00:00:00Z")
        case _:
            lock_out(ada, end)
    assert credentials.authenticate().user.is_anonymous


def test_basic_authentication(ada: User, settings: Settings) -> None:
    """A class that needs nothing but headers."""
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [BASIC]
    assert user_of(handshake(authorization=basic("ada", "pass"))) == ada
    assert refuses(handshake(authorization=basic("ada", "guess")))


def test_json_web_tokens(ada: User, settings: Settings) -> None:
    """djangorestframework-simplejwt's class; a wrong token is told, even beside a good session."""
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [JWT]
    token = AccessToken.for_user(ada)
    assert user_of(handshake(authorization=f"Bearer {token}")) == ada
    assert refuses(handshake(authorization=f"Bearer {str(token)[:-4]}AAAA", cookie=cookie(log_in(ada))))
    token.set_exp(from_time=token.current_time.replace(year=2000))
    assert refuses(handshake(authorization=f"Bearer {token}"))


def test_the_default_is_rest_frameworks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """``DEFAULT_AUTHENTICATION_CLASSES``."""
    monkeypatch.setattr(api_settings, "DEFAULT_AUTHENTICATION_CLASSES", [ApiKey])
    assert Handshake(handshake(x_api_key="robot")).authenticate().auth == "robot"


class ApiKey(BaseAuthentication):
    """For clients that are nobody in the database, as REST framework allows."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        key = request.headers.get("X-Api-Key")
        return None if key is None else (AnonymousUser(), key)


class TestUserOfAnotherMiddleware:
    """Found by Channels' ``AuthMiddlewareStack``, or by the project's own."""

    def test_counts_as_long_as_he_may(self, ada: User) -> None:
        credentials = Handshake({**handshake(), "user": ada})
        assert credentials.authenticate().user == ada
        User.objects.update(is_active=False)
        with pytest.raises(ProtocolError):
            credentials.authenticate()

    def test_has_the_password_of_then(self, ada: User) -> None:
        credentials = Handshake({**handshake(), "user": ada})
        other = User.objects.get()
        other.set_password("another")
        other.save()
        with pytest.raises(ProtocolError):
            credentials.authenticate()

    def test_need_not_be_of_the_database(self) -> None:
        class Service:
            pk = "no number"
            is_authenticated = True

        service = Service()
        assert user_of({**handshake(), "user": service}) is service


class TestKey:
    """Sockets with the same key get the answer of one of them."""

    @pytest.mark.parametrize(
        "other",
        [
            {"cookie": "sessionid=b"},
            {"authorization": "Bearer b"},
            {"sec_websocket_protocol": "bearer.b"},
            {"query": "token=b"},
            {"address": "192.0.2.2"},
        ],
    )
    def test_differs_with_all_that_may_be_asked_for(self, other: dict[str, str]) -> None:
        assert Handshake(handshake(**other)).key != Handshake(handshake()).key  # type: ignore[arg-type]

    def test_differs_with_the_user_of_a_middleware(self) -> None:
        first, second = ({**handshake(), "user": User(pk=pk)} for pk in (1, 2))
        assert Handshake(first).key != Handshake(second).key

    def test_is_the_same_for_the_same_browser(self) -> None:
        first, second = (Handshake(handshake(cookie="sessionid=a", sec_websocket_key=key)) for key in "ab")
        assert first.key == second.key


def test_tokens_do_not_load_sessions(
    ada: User, settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """The cookie that a browser sends along costs nothing."""
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [JWT]
    scope = handshake(authorization=f"Bearer {AccessToken.for_user(ada)}", cookie=cookie(log_in(ada)))
    with django_assert_num_queries(1):
        user_of(scope)


def test_without_cookies_nobody_is_left_whom_they_name(ada: User) -> None:
    """Neither by Django's session nor by a middleware."""
    scope = handshake(cookie=cookie(log_in(ada))) | {"user": ada, "session": {}, "cookies": {}}
    assert user_of(scope) == ada
    assert user_of(without_cookies(scope)).is_anonymous


@pytest.mark.parametrize(
    ("query", "ticket", "rest"),
    [
        ("ticket=abc", "abc", ""),
        ("ticket=abc&since=0", "abc", "since=0"),
        ("since=0&ticket=abc", "abc", "since=0"),
        ("since=0&ticket=abc&epoch=e&ticket=def", "abc", "since=0&epoch=e"),
        ("ticket=", "", ""),
        ("noticket=abc", None, "noticket=abc"),
        ("", None, ""),
    ],
)
def test_a_ticket_is_taken_out_of_the_url(query: str, ticket: str | None, rest: str) -> None:
    """Before anybody logs it."""
    scope = handshake(query=query)
    hide_ticket(scope)
    assert (scope.get(TICKET_KEY), scope["query_string"]) == (ticket, rest.encode())
