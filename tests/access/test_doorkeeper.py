"""Whoever comes in the same moment is asked for together, and whoever has to be asked alone keeps nobody waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import OperationalError
from pytest_django import Settings
from rest_framework.permissions import BasePermission

from tests.access.handshakes import cookie, handshake, log_in
from trace_streaming.access import doorkeeper
from trace_streaming.access.admission import Admitted, admit_together
from trace_streaming.access.doorkeeper import MOST, let_in
from trace_streaming.exceptions import ProtocolError
from trace_streaming.permissions import MayViewTraces

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _open_to_users(settings: Settings) -> None:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.IsAuthenticated"]


@pytest.fixture(autouse=True)
async def _nobody_stands_before_the_door() -> AsyncIterator[None]:
    yield
    async with asyncio.timeout(60):
        while doorkeeper._doors:
            await asyncio.sleep(0.001)


@pytest.fixture
async def session(django_user_model: type[User]) -> str:
    user = await django_user_model.objects.acreate(username="ada")
    return cookie(await sync_to_async(log_in)(user))


class Asking:
    """Stands between the door and the database; holds the first until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._admit = admit_together
        monkeypatch.setattr(doorkeeper, "admit_together", self)

    def __call__(self, handshakes: Sequence[Any]) -> list[Admitted | Exception]:
        self.sizes.append(len(handshakes))
        self.begun.set()
        assert self.go_on.wait(60)
        return self._admit(handshakes)


async def test_those_who_come_while_others_are_asked_for_are_asked_for_together(
    session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many at a time that the last of them does not wait for a storm."""
    asking = Asking(monkeypatch)
    first = asyncio.create_task(let_in(handshake(cookie=session), "t"))
    assert await asyncio.to_thread(asking.begun.wait, 10)
    others = [asyncio.create_task(let_in(handshake(cookie=session), f"t-{n}")) for n in range(MOST + 5)]
    stranger = asyncio.create_task(let_in(handshake(cookie=cookie("x" * 32)), "t"))
    await asyncio.sleep(0)
    asking.go_on.set()
    users = {user.username for _, user in await asyncio.gather(first, *others)}
    assert users == {"ada"}
    with pytest.raises(ProtocolError, match="Log in"):
        await stranger
    assert asking.sizes == [1, MOST, 6]


async def test_one_who_goes_meanwhile_takes_nobody_with_him(session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch)
    gone = asyncio.create_task(let_in(handshake(cookie=session), "t"))
    assert await asyncio.to_thread(asking.begun.wait, 10)
    staying = asyncio.create_task(let_in(handshake(cookie=session), "t"))
    await asyncio.sleep(0)
    gone.cancel()
    asking.go_on.set()
    assert (await staying)[1].username == "ada"


async def test_a_database_that_is_away_is_told_to_all(session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(handshakes: Sequence[Any]) -> list[Admitted | Exception]:
        raise OperationalError("away")

    monkeypatch.setattr(doorkeeper, "admit_together", away)
    waiting = [let_in(handshake(cookie=session), "t") for _ in range(3)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [OperationalError] * 3


async def test_where_there_is_nothing_to_ask_nobody_waits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a thread nor for the database."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    monkeypatch.delattr(asyncio, "to_thread")
    assert (await let_in(handshake(), "t"))[1].is_anonymous


both = threading.Barrier(2, timeout=10)


class TakesItsTime(BasePermission):
    """A project's own: lets users in once two are asking."""

    def has_permission(self, request: Any, view: Any) -> bool:
        both.wait()
        return True


class AsksElsewhere(ModelBackend):
    """A project's own, as one that asks a directory."""

    def has_perm(self, user: Any, perm: str, obj: Any = None) -> bool:
        both.wait()
        return True


async def test_a_class_of_the_projects_own_that_takes_its_time_keeps_nobody_waiting(
    session: str, settings: Settings
) -> None:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [f"{__name__}.TakesItsTime"]
    users = await asyncio.gather(let_in(handshake(cookie=session), "t"), let_in(handshake(), "t"))
    assert [user.is_authenticated for _, user in users] == [True, False]


async def test_a_backend_of_the_projects_own_that_takes_its_time_keeps_nobody_waiting(
    session: str, settings: Settings
) -> None:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [f"{MayViewTraces.__module__}.{MayViewTraces.__name__}"]
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", f"{__name__}.AsksElsewhere"]
    users = await asyncio.gather(*(let_in(handshake(cookie=session), "t") for _ in range(2)))
    assert [user.username for _, user in users] == ["ada"] * 2
