"""Helpers for users' own tests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

import pytest
from asgiref.sync import sync_to_async
from channels.exceptions import ChannelFull
from django.contrib.auth.models import User
from django.test import Client, TestCase
from pytest_django import Settings
from rest_framework.throttling import SimpleRateThrottle

from trace_streaming import TraceEmitter
from trace_streaming.approvals.decisions import decide
from trace_streaming.emitting.asking import requests as asking_requests
from trace_streaming.models import Approval, times
from trace_streaming.recorder import connect, disconnect
from trace_streaming.recording.recorder import recorder
from trace_streaming.storage import trace_rows
from trace_streaming.testing import FaultyChannelLayer, capture_events
from trace_streaming.watching.channel_layer import channel_layer, is_in_memory


@pytest.fixture(autouse=True)
def _nothing_is_stored(settings: Settings) -> Iterator[None]:
    """Recorded inline, without a database, what reaches the recorder is refused at once and counted as lost."""
    settings.TRACE_STREAMING_RECORDER = "inline"
    yield
    connect()


def recorded() -> bool:
    """Whether an event that is emitted now reaches the recorder."""
    before = recorder.lost
    TraceEmitter().emit("plan_created")
    return recorder.lost > before


def test_emitted_events_are_captured_as_the_emitter_holds_them() -> None:
    """A test sees each event with its five fields, as soon as it is emitted."""
    emitter = TraceEmitter("t-1")
    with capture_events() as events:
        assert events == []
        emitter.emit("plan_created", {"steps": 3}, "success")
        assert events == emitter.events
        TraceEmitter("t-2").emit("route_decision", {"password": "hunter2"})
    assert [(event["trace_id"], event["details"]) for event in events] == [
        ("t-1", {"steps": 3}),
        ("t-2", {"password": "[redacted:key]"}),
    ]


def test_captured_events_are_copies() -> None:
    """What a test does to a captured event does not reach the emitter's own."""
    emitter = TraceEmitter()
    with capture_events() as events:
        emitter.emit("plan_created", {"steps": [1]})
    events[0]["details"]["steps"].append(2)
    assert emitter.events[0]["details"] == {"steps": [1]}


def test_nothing_is_recorded_inside_and_everything_afterwards() -> None:
    """The block needs no database; behind it the recorder has its place again. Events after it are not captured."""
    with capture_events() as events:
        assert not recorded()
        TraceEmitter().end()
        assert TraceEmitter().flush(0)
    assert recorded()
    assert len(events) == 1


def test_an_exception_inside_ends_the_capture() -> None:
    """A test that fails leaves nothing behind for the next."""
    with pytest.raises(ZeroDivisionError), capture_events() as events:
        raise ZeroDivisionError
    assert recorded()
    assert events == []


def test_captures_may_be_nested() -> None:
    """A test that captures inside a fixture that does so needs no database either, and both have the events."""
    with capture_events() as outer:
        with capture_events() as inner:
            TraceEmitter().emit("plan_created")
        assert not recorded()
    assert (len(outer), len(inner)) == (2, 1)


class InATransaction(TestCase):
    """What is decided in the transaction of a test is told, though no other thread sees into it."""

    def test_who_waits_later_is_told(self) -> None:
        """The decision is there."""
        emitter = TraceEmitter("t-1")
        approval_id = emitter.ask_approval("send", arguments={"to": "bob"})
        approve("t-1")
        assert emitter.wait_for(approval_id).decision == "approved"

    async def test_who_waits_already_is_told(self) -> None:
        """By the thread that decides."""
        asking = asyncio.create_task(TraceEmitter("t-2").arequest_approval("send", arguments={"to": "bob"}, timeout=10))
        while not await Approval.objects.aexists():
            await asyncio.sleep(0)
        await sync_to_async(approve)("t-2")
        assert (await asking).decision == "approved"


def approve(trace_id: str) -> None:
    approval = Approval.objects.get(trace_id=trace_id)
    decide(approval, "approved", user=User.objects.create_user("ada"), channel="api")


def test_a_project_that_disconnected_the_recorder_finds_it_disconnected() -> None:
    """Capturing leaves the signals as they were."""
    disconnect()
    with capture_events():
        pass
    assert not recorded()


class Stopped(datetime):
    """What freezegun and time-machine make of ``datetime``: a clock that stands still, years ago."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2020, 1, 5, 12, tzinfo=UTC).astimezone(tz)


def stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (asking_requests, times, trace_rows):
        monkeypatch.setattr(module, "datetime", Stopped)


@pytest.mark.django_db
def test_what_is_asked_while_the_clock_stands_still_is_decided(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other clock is asked: by the database's it would have been over for years."""
    stop_the_clock(monkeypatch)
    client.force_login(User.objects.create_superuser("ada"))
    emitter = TraceEmitter("t")
    approval_id = emitter.ask_approval("send_mail", timeout=60)
    assert len(client.get("/api/approvals/").json()["approvals"]) == 1
    url = f"/api/traces/t/approvals/{approval_id}/"
    decided = client.post(url, {"decision": "approved"}, content_type="application/json")
    assert decided.status_code == 200, decided.content
    assert emitter.wait_for(approval_id).decision == "approved"


@pytest.mark.django_db
def test_what_is_asked_runs_out_when_the_clock_is_set_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test need not wait for it."""
    emitter = TraceEmitter("t")
    approval_id = emitter.ask_approval("send_mail", timeout=60)
    later = datetime.now(UTC) + timedelta(seconds=61)
    monkeypatch.setattr(Stopped, "now", lambda tz=None: later.astimezone(tz))
    stop_the_clock(monkeypatch)
    assert emitter.wait_for(approval_id).decision == "timeout"


@pytest.mark.django_db
def test_a_ticket_is_had_where_rest_framework_was_imported_while_the_clock_stood_still(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its throttles keep the clock that they have found, which is no built-in function then."""
    monkeypatch.setattr(SimpleRateThrottle, "timer", lambda: 0.0)
    client.force_login(User.objects.create_superuser("ada"))
    TraceEmitter("t").emit("plan_created")
    assert client.post("/api/traces/t/ticket").status_code == 201


@pytest.fixture
def layer() -> FaultyChannelLayer:
    return FaultyChannelLayer(seed=1)


async def received(layer: FaultyChannelLayer, sent: int, channel: str = "c") -> list[int]:
    """The numbers of the messages that arrive, of so many that are sent through a group."""
    await layer.group_add("group", channel)
    for number in range(sent):
        await layer.group_send("group", {"number": number})
    return await waiting(layer, channel)


async def waiting(layer: FaultyChannelLayer, channel: str = "c") -> list[int]:
    """The numbers of the messages that wait on a channel now."""
    return [(await layer.receive(channel))["number"] for _ in range(layer.channels[channel].qsize())]


async def test_a_layer_without_faults_is_the_one_in_memory(layer: FaultyChannelLayer) -> None:
    """Everything arrives once and in order, a copy of what was sent; groups are left; full channels refuse."""
    assert is_in_memory(layer)
    assert await received(layer, 50) == list(range(50))
    channel = await layer.new_channel()
    message = {"list": [1]}
    await layer.send(channel, message)
    message["list"].append(2)
    assert await layer.receive(channel) == {"list": [1]}
    await layer.group_discard("group", "c")
    await layer.group_send("group", {"number": 1})
    assert layer.channels == layer.groups == {}
    for number in range(layer.capacity):
        await layer.send("full", {"number": number})
    with pytest.raises(ChannelFull):
        await layer.send("full", {"number": 0})
    await layer.flush()
    assert not layer.channels
    assert not layer.faults.total()


async def test_a_layer_as_the_settings_make_it(settings: Settings) -> None:
    """All rates, and the options of the layer in memory, are a project's to set."""
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "trace_streaming.testing.FaultyChannelLayer",
            "CONFIG": {"drop": 1, "seed": 1, "capacity": 7},
        }
    }
    layer = channel_layer()
    assert isinstance(layer, FaultyChannelLayer)
    assert (layer.drop, layer.duplicate, layer.capacity) == (1, 0, 7)


async def test_the_same_seed_meets_the_same_faults() -> None:
    """A schedule that fails can be repeated."""
    one, two, other = (
        FaultyChannelLayer(drop=0.3, duplicate=0.3, reorder=0.3, seed=seed, capacity=1000) for seed in (1, 1, 2)
    )
    assert await received(one, 100) == await received(two, 100) != await received(other, 100)
    assert one.faults == two.faults


async def test_messages_are_dropped(layer: FaultyChannelLayer) -> None:
    """Some of them, of each channel its own; and none once the fault is over."""
    layer.drop = 0.5
    await layer.group_add("group", "other")
    got = await received(layer, 50)
    assert 10 < len(got) < 40
    assert got != await waiting(layer, "other")
    assert layer.faults["drop"] > 20
    layer.drop = 0
    assert await received(layer, 50) == list(range(50))


async def test_messages_are_duplicated(layer: FaultyChannelLayer) -> None:
    """They arrive twice, and still in order."""
    layer.duplicate = 1
    assert await received(layer, 3) == [0, 0, 1, 1, 2, 2]


async def test_messages_are_reordered(layer: FaultyChannelLayer) -> None:
    """Each one that is held back is overtaken by the next one; the last waits until there is a next one."""
    layer.reorder = 1
    assert await received(layer, 5) == [1, 0, 3, 2]
    layer.reorder = 0
    assert await received(layer, 2) == [0, 4, 1]


async def test_messages_are_delayed(layer: FaultyChannelLayer) -> None:
    """They arrive in time, without anybody's doing, and behind what is sent without a delay."""
    layer.delay, layer.delay_seconds = 1, 0.01
    await layer.group_add("group", "c")
    await layer.group_send("group", {"number": 0})
    layer.delay = 0
    await layer.group_send("group", {"number": 1})
    assert await waiting(layer) == [1]
    assert await layer.receive("c") == {"number": 0}


async def test_what_is_delayed_while_the_layer_goes_is_lost(layer: FaultyChannelLayer) -> None:
    """A layer that is away delivers nothing; one that was flushed has forgotten what was on its way."""
    layer.delay = layer.delay_seconds = 1
    await layer.send("c", {"number": 0})
    await layer.flush()
    layer.delay_seconds = 0
    await layer.send("c", {"number": 1})
    layer.available = False
    await asyncio.gather(*layer._late, return_exceptions=True)
    layer.available = True
    assert not layer.channels


async def test_calls_are_refused(layer: FaultyChannelLayer) -> None:
    """Every kind of call may raise, as it does when a connection breaks."""
    layer.refuse = 1
    for call in calls(layer):
        with pytest.raises(ConnectionError):
            await call
    assert layer.faults["refuse"] == 7


def calls(layer: FaultyChannelLayer) -> list[Coroutine[None, None, object]]:
    return [
        layer.new_channel(),
        layer.group_add("group", "c"),
        layer.group_discard("group", "c"),
        layer.group_send("group", {"number": 1}),
        layer.send("c", {"number": 1}),
        layer.receive("c"),
        layer.flush(),
    ]


async def test_a_layer_that_is_away(layer: FaultyChannelLayer) -> None:
    """Every call raises, and whoever waits for a message is told at once; what was joined is joined afterwards."""
    await layer.group_add("group", "c")
    receiving = asyncio.create_task(layer.receive("c"))
    while not layer.channels:
        await asyncio.sleep(0)
    layer.available = False
    with pytest.raises(ConnectionError):
        await receiving
    for call in calls(layer):
        with pytest.raises(ConnectionError):
            await call
    layer.available = True
    await layer.group_send("group", {"number": 1})
    assert await waiting(layer) == [1]


async def test_a_layer_that_forgets_its_groups(layer: FaultyChannelLayer) -> None:
    """Nothing raises, and nothing arrives until the group is joined again."""
    await layer.group_add("group", "c")
    layer.expire()
    await layer.group_send("group", {"number": 1})
    assert not layer.channels
    assert await received(layer, 1) == [0]
