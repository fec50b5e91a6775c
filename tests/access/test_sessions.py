"""Users of sessions that are asked for together are those that each would have by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.backends import AllowAllUsersModelBackend, BaseBackend, ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.signing import dumps
from pytest_django import DjangoAssertNumQueries, Settings

from tests.access.handshakes import cookie, handshake, lock_out, log_in
from trace_streaming.access.authentication import Handshake, sessions_decide
from trace_streaming.access.sessions import SessionUsers, backends_are_djangos

pytestmark = pytest.mark.django_db

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]
ENDS = ["nothing", "logout", "expiry", "forgery", "another user's", "password", "deactivation", "deletion"]


@pytest.fixture
def ada(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("ada", password="pass")


@pytest.fixture
def bob(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("bob", password="pass")


class OfOneLetter(ModelBackend):
    """A backend that finds its users otherwise."""

    def get_user(self, user_id: Any) -> User | None:
        return User.objects.filter(pk=user_id, username__startswith="b").first()


def end(user: User, key: str, how: str) -> None:
    session = Session.objects.get(pk=key)
    match how:
        case "nothing":
            return
        case "logout":
            session.delete()
        case "expiry":
            session.expire_date = datetime(2000, 1, 1, tzinfo=UTC)
            session.save()
        case "forgery":
            session.session_data = dumps({"_auth_user_id": "1"}, key="another")
            session.save()
        case "another user's":
            data = {**session.get_decoded(), "_auth_user_id": "no number"}
            session.session_data = SessionStore().encode(data)
            session.save()
        case _:
            lock_out(user, how)


def alone(key: str) -> Any:
    """Whom Django finds, or what it raises."""
    try:
        return Handshake(handshake(cookie=cookie(key))).authenticate().user.pk
    except Exception as error:
        return type(error)


def together(users: SessionUsers, key: str) -> Any:
    try:
        return users.of(key).pk
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("backend", [ModelBackend, AllowAllUsersModelBackend, OfOneLetter, None])
@pytest.mark.parametrize("how", ENDS)
def test_the_answers_are_djangos(
    ada: User, bob: User, settings: Settings, how: str, backend: type[ModelBackend] | None
) -> None:
    """Whatever has become of one of them, and whatever backend has let them in."""
    keys = {user.username: log_in(user) for user in (ada, bob)}
    if backend is not None:
        path = f"{backend.__module__}.{backend.__name__}"
        settings.AUTHENTICATION_BACKENDS = [path]
        for session in Session.objects.all():
            data = {**session.get_decoded(), "_auth_user_backend": path}
            session.session_data = SessionStore().encode(data)
            session.save()
    else:
        settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    end(ada, keys["ada"], how)
    asked = [*keys.values(), "unknown" * 4]
    users = SessionUsers(asked)
    assert [together(users, key) for key in asked] == [alone(key) for key in asked]
    assert users.of("").is_anonymous


@pytest.mark.parametrize("engine", ENGINES)
def test_sessions_of_every_engine_count(ada: User, settings: Settings, engine: str, tmp_path: Any) -> None:
    """One by one, where they are not rows."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    key = log_in(ada)
    assert SessionUsers([key]).of(key) == ada
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    assert SessionUsers([key]).of(key).pk == alone(key)


def test_some_queries_find_all(
    ada: User, bob: User, settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    keys = [log_in(user) for user in (ada, bob, ada)]
    with django_assert_num_queries(2):
        users = SessionUsers(keys)
        assert [users.of(key) for key in keys] == [ada, bob, ada]


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, ""),
        ({"cookie": "a=b"}, ""),
        ({"cookie": "sessionid=abcdefgh12345678"}, "abcdefgh12345678"),
        ({"cookie": 'sessionid="aaaaaaaa\\000"'}, None),
        ({"cookie": "sessionid=" + "a" * 41}, None),
        ({"authorization": "Token x"}, None),
        ({"AUTHORIZATION": "Token x", "cookie": "sessionid=abcdefgh12345678"}, None),
    ],
)
def test_a_session_that_is_alone(headers: dict[str, Any], key: str | None) -> None:
    """Not beside an ``Authorization``, and none that is no key of Django's: PostgreSQL is not asked for a NUL."""
    lone = Handshake(handshake(**headers)).lone_session
    assert (None if lone is None else lone.key) == key


def test_a_handshake_with_two_cookie_headers_is_asked_alone() -> None:
    scope = handshake(cookie="a=b")
    scope["headers"].append((b"cookie", b"c=d"))
    assert Handshake(scope).lone_session is None


def test_a_user_whom_a_middleware_has_found_is_asked_alone(ada: User) -> None:
    assert Handshake({**handshake(), "user": ada}).lone_session is None


@pytest.mark.parametrize(
    ("classes", "decide"),
    [
        (["SessionAuthentication", "BasicAuthentication", "TokenAuthentication"], True),
        ([], True),
        (["SessionAuthentication", "RemoteUserAuthentication"], False),
    ],
)
def test_sessions_decide_where_only_known_classes_look(settings: Settings, classes: list[str], decide: bool) -> None:
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [f"rest_framework.authentication.{name}" for name in classes]
    assert sessions_decide() is decide


def test_sessions_of_a_projects_own_engine_are_asked_one_by_one(settings: Settings) -> None:
    settings.SESSION_ENGINE = "project.sessions"
    assert not sessions_decide()


@pytest.mark.parametrize(
    ("backend", "are_djangos"),
    [(ModelBackend, True), (AllowAllUsersModelBackend, True), (OfOneLetter, False), (BaseBackend, False)],
)
def test_backends_that_ask_nothing_but_the_database(
    settings: Settings, backend: type[BaseBackend], are_djangos: bool
) -> None:
    settings.AUTHENTICATION_BACKENDS = [f"{each.__module__}.{each.__name__}" for each in (ModelBackend, backend)]
    assert backends_are_djangos() is are_djangos


def test_a_user_model_that_knows_no_earlier_secret_key(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django asks for it only where the present one does not fit."""
    monkeypatch.delattr(AbstractBaseUser, "get_session_auth_fallback_hash")
    key = log_in(ada)
    assert SessionUsers([key]).of(key) == ada
