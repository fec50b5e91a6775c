"""Handshakes as servers hand them over, and the credentials in them."""

from __future__ import annotations

import base64
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest

HOST = "example.com"


def handshake(
    trace_id: str = "t",
    *,
    query: str = "",
    address: str = "192.0.2.1",
    subprotocols: tuple[str, ...] = (),
    secure: bool = False,
    **headers: str,
) -> dict[str, Any]:
    """A scope; underscores in the names of headers are hyphens."""
    named = {"host": HOST, **headers}
    return {
        "type": "websocket",
        "scheme": "wss" if secure else "ws",
        "path": f"/ws/traces/{trace_id}",
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
        "subprotocols": list(subprotocols),
        "client": (address, 50000),
    }


def log_in(user: User) -> str:
    """A session of this user, as Django makes it; returns its key."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    request.session.save()
    assert request.session.session_key
    return request.session.session_key


def lock_out(user: User, how: str) -> None:
    """What ends whatever the user has shown: a new ``password``, ``deactivation`` or ``deletion``."""
    match how:
        case "password":
            user.set_password("another")
            user.save()
        case "deactivation":
            User.objects.filter(pk=user.pk).update(is_active=False)
        case "deletion":
            user.delete()
        case _:
            raise ValueError(how)


def cookie(key: str) -> str:
    return f"{settings.SESSION_COOKIE_NAME}={key}"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
