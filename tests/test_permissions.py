"""Who may watch: edges that a socket's tests do not reach."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from pytest_django import Settings
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from trace_streaming.models import Trace
from trace_streaming.permissions import may_watch

pytestmark = pytest.mark.django_db


def a_request(user: Any) -> Any:
    """A handshake by this user."""
    request = Request(HttpRequest())
    request.user = user
    return request


class Refuses(BasePermission):
    """Says no by raising, as DRF allows."""

    error: Exception = PermissionDenied()

    def has_object_permission(self, request: Any, view: Any, obj: Trace) -> bool:
        raise self.error


class StatelessUser(AnonymousUser):
    """Active, and without a key: what a token without a user row gives."""

    is_active = True  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def _closed(settings: Settings) -> None:
    del settings.TRACE_STREAMING_PERMISSION_CLASSES


@pytest.mark.parametrize("user", [AnonymousUser(), StatelessUser(), User(pk=7, is_active=False)])
def test_a_trace_without_an_owner_belongs_to_nobody(user: Any) -> None:
    """Least of all to users without a key."""
    trace = Trace(trace_id="t", owner_id=7 if user.pk else None)
    assert not may_watch(a_request(user), trace)


@pytest.mark.parametrize("error", [PermissionDenied(), Http404(), NotAuthenticated()])
def test_a_permission_class_may_raise(settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """An exception that means no is a no."""
    monkeypatch.setattr(Refuses, "error", error)
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["tests.test_permissions.Refuses"]
    assert not may_watch(a_request(User(pk=7)), Trace(trace_id="t", owner_id=7))


def test_all_classes_must_agree(settings: Settings) -> None:
    """As in DRF's views."""
    everybody = "rest_framework.permissions.AllowAny"
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [everybody]
    assert may_watch(a_request(AnonymousUser()), Trace(trace_id="t"))
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [everybody, "rest_framework.permissions.IsAuthenticated"]
    assert not may_watch(a_request(AnonymousUser()), Trace(trace_id="t"))
