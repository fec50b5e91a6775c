"""Django's sessions, only read: whose they are, of one or of many at once."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from importlib import import_module
from typing import Any, Final, cast

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_backends,
    get_user,
    get_user_model,
    load_backend,
)
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

_OF_THE_DATABASE: Final = "django.contrib.sessions.backends.db"
"""The engine whose sessions can be read together."""


class _ReadOnlySession(dict[str, Any]):
    """A session as it is stored. A handshake sets no cookie, so the key must stay."""

    def cycle_key(self) -> None:
        """What Django does to one that a fallback of the secret key has signed."""

    def flush(self) -> None:
        """What Django does to one whose user has another password now."""


def read_session(key: str | None) -> Any:
    """What is stored in it; nothing, where it has ended."""
    if not key:
        return _ReadOnlySession()
    return _ReadOnlySession(import_module(settings.SESSION_ENGINE).SessionStore(key).load())


def session_user_id(key: str) -> str | None:
    """Whose session this is; None when it has ended."""
    user_id = read_session(key).get(SESSION_KEY)
    return None if user_id is None else str(user_id)


def backends_are_djangos() -> bool:
    """Whether it is the database alone that says who a user is, and what they may."""
    return all(
        isinstance(backend, ModelBackend)
        and type(backend).get_user is ModelBackend.get_user
        and type(backend).has_perm is ModelBackend.has_perm
        for backend in get_backends()
    )


class SessionUsers:
    """The users of some sessions, as ``django.contrib.auth.get_user`` finds each; asked for together where it can be.

    Sessions that are not in the database, and users of a backend with a ``get_user`` of its own, are asked one by one.

    :param keys: of the sessions, as Django makes them
    """

    def __init__(self, keys: Collection[str]) -> None:
        self._sessions = _stored_sessions(keys) if keys and settings.SESSION_ENGINE == _OF_THE_DATABASE else None
        self._backends: dict[str, ModelBackend | None] = {}
        self._users = self._stored_users()
        self._found: dict[str, Any] = {}

    def of(self, key: str | None) -> Any:
        """The session's user, or an anonymous one; raises what its engine or its backend raises."""
        if not key:
            return AnonymousUser()
        if key not in self._found:
            self._found[key] = self._find(key)
        return self._found[key]

    def _find(self, key: str) -> Any:
        session = read_session(key) if self._sessions is None else self._sessions.get(key, {})
        backend = self._backend_of(session)
        if backend is None:
            request = HttpRequest()
            request.session = _ReadOnlySession(session)  # type: ignore[assignment]
            return get_user(request)
        user = self._users.get(_user_key(session))
        if user is None or not backend.user_can_authenticate(user) or not _is_of(session, user):
            return AnonymousUser()
        return user

    def _stored_users(self) -> dict[Any, Any]:
        keys = set()
        for session in (self._sessions or {}).values():
            if self._backend_of(session) is not None:
                with suppress(ValidationError):
                    keys.add(_user_key(session))
        return get_user_model()._default_manager.in_bulk(keys) if keys else {}

    def _backend_of(self, session: dict[str, Any]) -> ModelBackend | None:
        """Where its user was asked for with the others': Django's own, or one that only adds to it."""
        path: str = session.get(BACKEND_SESSION_KEY, "")
        if self._sessions is None or SESSION_KEY not in session or path not in settings.AUTHENTICATION_BACKENDS:
            return None
        if path not in self._backends:
            backend = load_backend(path)
            is_djangos = isinstance(backend, ModelBackend) and type(backend).get_user is ModelBackend.get_user
            self._backends[path] = cast("ModelBackend", backend) if is_djangos else None
        return self._backends[path]


def _stored_sessions(keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """As ``SessionStore(key).load()`` for each, in one query."""
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    rows = store.model.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return {key: store.decode(data) for key, data in rows.values_list("session_key", "session_data")}


def _user_key(session: dict[str, Any]) -> Any:
    return get_user_model()._meta.pk.to_python(session[SESSION_KEY])


def _is_of(session: dict[str, Any], user: Any) -> bool:
    """Whether the user has the password of the time when the session was made, as Django asks."""
    if not hasattr(user, "get_session_auth_hash"):
        return True
    told: str = session.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *getattr(user, "get_session_auth_fallback_hash", list)()]
    return bool(told) and any(constant_time_compare(told, each) for each in hashes)
