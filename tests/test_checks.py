"""What is set up wrong is said at start."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from django.core.checks import CheckMessage, run_checks
from django.db import connection
from pytest_django import Settings

from trace_streaming import AGENT_EVENTS, checks
from trace_streaming.checks import (
    agents,
    check_databases,
    check_mysql,
    check_open_doors,
    check_redis_hosts,
    check_settings,
    check_sqlite,
)
from trace_streaming.checks import ids as ids_of_checks
from trace_streaming.conf import PREFIX, SETTING_NAMES

REDIS = "channels_redis.core.RedisChannelLayer"
WAL = "PRAGMA journal_mode=WAL;"


def found(settings: Settings, name: str, value: object) -> list[CheckMessage]:
    setattr(settings, PREFIX + name, value)
    return check_settings(None)


@pytest.mark.django_db  # of Django 6.1's own checks, some ask the database
def test_the_test_project_is_set_up_well() -> None:
    """No check speaks without a reason."""
    assert run_checks() + check_sqlite(None) == []


def test_ids_are_unique_and_stable() -> None:
    """A project silences a check by its id, so an id means one thing and stays."""
    ids = {name: value for name, value in vars(ids_of_checks).items() if name[1:].isdigit()}
    names = [f"E{number:03}" for number in range(1, 15)] + [f"W{number:03}" for number in range(1, 10)]
    assert ids == {name: f"trace_streaming.{name}" for name in names}


VALUES: dict[str, list[Any]] = {
    "E001 EXTRA_EVENTS": [["Memory"], ["a b"], ["x" * 65], [""], [1], [["a"]], "abc", 5, None],
    "E002 RECORDER": ["threads", None, ["inline"]],
    "E003 REDACTOR": ["no.such", "os.path", "redact", ".", None, ["x"], "trace_streaming.PREFIX"],
    "E004 PERMISSION_CLASSES": [["no.such"], ["."], [None], [int], None, 5, "rest_framework.permissions.AllowAny"],
    "E005 HEAD_CHECK_SECONDS": [0, -1, "5", True, [], float("nan")],
    "E005 HEALTH_TIMEOUT_SECONDS": [0, -1, "5", True, [], float("nan"), None],
    "E005 HEARTBEAT_SECONDS": [0, -1, "5", True, [], float("nan"), None],
    "E005 INCOMPLETE_AFTER_SECONDS": [0, -1, "5", True, [], float("nan")],
    "E005 EMITTER_EVENTS": [0, -1, "5", True, [], float("nan")],
    "E005 LEASE_SECONDS": [0, -1, "5", True, [], float("nan")],
    "E005 QUEUE_SIZE": [0, -1, "5", True, [], float("nan"), None],
    "E005 STALL_SECONDS": [0, -1, "5", True, [], float("nan"), None],
    "E006 DURABILITY": ["fsync", None, ["sync"]],
    "E004 HEALTH_PERMISSION_CLASSES": [["no.such"], [None], [int], None, 5, "rest_framework.permissions.AllowAny"],
    "E004 APPROVAL_PERMISSION_CLASSES": [["no.such"], [None], [int], None, 5, "rest_framework.permissions.AllowAny"],
    "E004 METRICS_PERMISSION_CLASSES": [["no.such"], [None], [int], None, 5, "rest_framework.permissions.AllowAny"],
    "E005 MAX_AGE_SECONDS": [0, -1, "5", True, [], float("nan")],
    "E005 RECHECK_SECONDS": [0, -1, "5", True, [], float("nan"), None],
    "E008 LIMITS": [
        *({"connections": value} for value in (0, -1, "5", True, 1.5, "5/s")),
        *({"connects_per_address": value} for value in (5, "5", "5/w", "s/5", "0/s", "-1/s", "", "/", "5/")),
        {"sockets": 5},
        None,
        5,
        ["connections"],
    ],
    "E013 APPROVALS": [["send_*"], "send_*", None, {"": {}}, {"send_*": "high"}, {"send_*": {"timeout": 0}}],
    "E009 AUTHENTICATION_CLASSES": [["no.such"], [None], [int], [], 5, "a.b"],
    "E010 ALLOWED_ORIGINS": [
        *[None, 5, "https://example.com"],
        *(
            [origin]
            for origin in (None, 5, "", "https://*.example.com", "*.a.b", "localhost:3000", "http://a:*", "a/b")
        ),
    ],
    "E007 SPOOL_DIR": [5, "", ["/tmp"], __file__, f"{__file__}/folder", b""],
}
BAD = [(key[5:], value, key[:4]) for key, values in VALUES.items() for value in values]


@pytest.mark.django_db  # of Django 6.1's own checks, some ask the database
@pytest.mark.parametrize(("name", "value", "check_id"), BAD, ids=lambda value: repr(value)[:40])
def test_a_bad_value_is_an_error_that_names_the_setting(
    settings: Settings, name: str, value: object, check_id: str
) -> None:
    """Whatever the value is, the check speaks instead of failing, and says what to change; no other check fails."""
    messages = found(settings, name, value)
    assert {message.id for message in messages} == {f"trace_streaming.{check_id}"}
    others = run_checks(include_deployment_checks=True)
    assert all(message in others for message in messages)
    assert all(PREFIX + name in f"{message.msg} {message.hint}" and message.is_serious() for message in messages)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXTRA_EVENTS", ["memory_read", "a1"]),
        ("EXTRA_EVENTS", ("x" * 64,)),
        ("EXTRA_EVENTS", []),
        ("RECORDER", "inline"),
        ("DURABILITY", "sync"),
        ("REDACTOR", "trace_streaming.redaction.redact"),
        ("PERMISSION_CLASSES", ("rest_framework.permissions.IsAuthenticated",)),
        (
            "ALLOWED_ORIGINS",
            ["https://a.example.com", "https://.example.org:8443/", "http://[::1]:3000", "app://local"],
        ),
        ("ALLOWED_ORIGINS", ("example.com", ".example.org", "[::1]", "chrome-extension://abc_d")),
        ("HEAD_CHECK_SECONDS", None),
        ("HEAD_CHECK_SECONDS", 0.5),
        ("QUEUE_SIZE", 1),
    ],
)
def test_a_good_value_is_accepted(settings: Settings, name: str, value: object) -> None:
    """What the documentation allows is not complained of."""
    assert found(settings, name, value) == []


@pytest.mark.parametrize("name", sorted(SETTING_NAMES))
def test_every_known_name_is_known(settings: Settings, name: str) -> None:
    """No setting of ours is taken for a typing error."""
    assert "trace_streaming.W001" not in [message.id for message in found(settings, name, "x")]


def test_an_unknown_name_is_a_warning(settings: Settings) -> None:
    """A setting that has no effect is told by its name."""
    (message,) = found(settings, "QUEUESIZE", 5)
    assert (message.id, message.is_serious()) == ("trace_streaming.W001", False)
    assert "TRACE_STREAMING_QUEUESIZE" in message.msg


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({"transaction_mode": "IMMEDIATE", "init_command": WAL}, False),
        ({"transaction_mode": "immediate", "init_command": "pragma journal_mode = wal"}, False),
        ({"transaction_mode": "IMMEDIATE"}, True),
        ({"init_command": WAL}, True),
        ({"transaction_mode": None, "init_command": WAL}, True),
        ({}, True),
    ],
)
def test_sqlite_without_wal_and_immediate_transactions_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], warned: bool
) -> None:
    """Both are needed, in any spelling that SQLite takes."""
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    assert [message.id for message in check_sqlite(None)] == ["trace_streaming.W002"] * warned


@pytest.mark.django_db  # of Django 6.1's own checks, some ask the database
def test_the_sqlite_warning_is_seen_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """``runserver`` and ``check`` show it, not only ``migrate``: it opens no connection."""
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    assert "trace_streaming.W002" in [message.id for message in run_checks()]


def test_another_database_is_none_of_sqlites_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL has no such options."""
    monkeypatch.setattr(connection, "vendor", "postgresql")
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    assert check_sqlite(None) == []


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({}, False),
        ({"isolation_level": "READ COMMITTED", "charset": "utf8mb4"}, False),
        ({"isolation_level": "repeatable read"}, True),
        ({"isolation_level": None}, True),
        ({"charset": "utf8"}, True),
    ],
)
def test_mysql_is_left_as_django_has_it(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], warned: bool) -> None:
    """What others have stored is seen, and every letter is taken."""
    assert check_mysql(None) == []
    monkeypatch.setattr(connection, "vendor", "mysql")
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    assert [message.id for message in check_mysql(None)] == ["trace_streaming.W008"] * warned


@pytest.mark.parametrize(
    ("hosts", "warned"),
    [
        ([{"address": "redis://h", "socket_timeout": None}], False),
        ([{"address": "redis://h"}], True),
        ([{"address": "redis://h", "socket_timeout": 5}], True),
        ([{"address": "redis://h", "socket_timeout": None}, "redis://i"], True),
        (["redis://h"], True),
        ([("h", 6379)], True),
        ([], True),  # channels_redis then takes redis://localhost:6379
        (None, True),  # the same
    ],
)
def test_a_redis_host_with_a_read_timeout_is_a_warning(settings: Settings, hosts: Any, warned: bool) -> None:
    """Every form that channels_redis takes is understood; only one of them is safe."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": REDIS, "CONFIG": {"hosts": hosts}}}
    messages = check_redis_hosts(None)
    assert [message.id for message in messages] == ["trace_streaming.W003"] * warned
    assert all("socket_timeout" in str(message.hint) for message in messages)


class NeedsPassword(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no annotations
    """As layers do that take a database's settings."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.password = config["PASSWORD"]


@pytest.mark.parametrize(("config", "warned"), [({}, True), ({"PASSWORD": ""}, False)])
def test_a_channel_layer_that_cannot_be_made_is_told(settings: Settings, config: dict[str, Any], warned: bool) -> None:
    """Channels takes the missing key of its settings for a missing layer, and goes without."""
    assert checks.check_channel_layer(None) == []
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.NeedsPassword", "CONFIG": config}}
    assert [message.id for message in checks.check_channel_layer(None)] == ["trace_streaming.W009"] * warned


@pytest.mark.parametrize(
    ("layers", "warned"),
    [
        ({}, False),
        ({"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}, False),
        ({"other": {"BACKEND": REDIS}}, False),
        ({"default": {"BACKEND": REDIS}}, True),
        ({"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}}, True),
    ],
)
def test_only_redis_layers_are_looked_at(settings: Settings, layers: dict[str, Any], warned: bool) -> None:
    """Without hosts, channels_redis takes one that has the timeout."""
    settings.CHANNEL_LAYERS = layers
    assert [message.id for message in check_redis_hosts(None)] == ["trace_streaming.W003"] * warned


class ToAnother:
    """A router that gives the app a database of its own."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "another" if model._meta.app_label == "trace_streaming" else None


def test_traces_and_their_owners_are_in_one_database(settings: Settings) -> None:
    """Django has no foreign keys between databases: every insert would fail, much later."""
    assert check_databases(None) == []
    settings.DATABASE_ROUTERS = ["tests.test_checks.ToAnother"]
    assert [message.id for message in check_databases(None)] == ["trace_streaming.E011"]


@pytest.mark.parametrize("name", ["trace_streaming", "trace_streaming.apps.TraceStreamingConfig"])
def test_the_app_is_shared_by_all_tenants(settings: Settings, name: str) -> None:
    """The writer's thread and the sockets are in no tenant's schema: they would use the public one."""
    settings.TENANT_APPS = ["shop", name]
    settings.SHARED_APPS = ["django_tenants"]
    assert [message.id for message in check_databases(None)] == ["trace_streaming.E012"]
    settings.TENANT_APPS, settings.SHARED_APPS = ["shop"], ["django_tenants", name]
    assert check_databases(None) == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["PERMISSION_CLASSES", "APPROVAL_PERMISSION_CLASSES", "METRICS_PERMISSION_CLASSES"])
def test_open_doors_are_warned_of_before_a_deployment(settings: Settings, name: str) -> None:
    """``AllowAny`` is for a first try."""
    for each in ("PERMISSION_CLASSES", "APPROVAL_PERMISSION_CLASSES", "METRICS_PERMISSION_CLASSES"):
        setattr(settings, f"TRACE_STREAMING_{each}", ["trace_streaming.permissions.MayViewTraces"])
    assert check_open_doors(None) == []
    setattr(settings, f"TRACE_STREAMING_{name}", ["rest_framework.permissions.AllowAny"])
    (message,) = check_open_doors(None)
    assert (message.id, name in message.msg) == ("trace_streaming.W005", True)
    assert message in run_checks(include_deployment_checks=True)


def test_an_adapter_that_shows_tools_alone_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning names the setting; where no adapter is imported, nothing is missing."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ["agent_start"]
    for name in agents.ADAPTERS:
        monkeypatch.delitem(sys.modules, f"trace_streaming.integrations.{name}", raising=False)
    assert checks.check_agent_events(None) == []
    monkeypatch.setitem(sys.modules, "trace_streaming.integrations.langchain", sys)
    (message,) = checks.check_agent_events(None)
    assert message.id == "trace_streaming.W006"
    assert "TRACE_STREAMING_EXTRA_EVENTS = trace_streaming.AGENT_EVENTS" in str(message.hint)
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    assert checks.check_agent_events(None) == []


def test_what_needs_a_human_and_cannot_be_held_back_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of adapters whose frameworks wait where they are told to alone."""
    modules = [*agents.HELD_BACK_BY, *(module for module, _ in agents.HELD_BACK_BY.values())]
    for name in modules:
        monkeypatch.delitem(sys.modules, f"trace_streaming.integrations.{name}", raising=False)
    settings.TRACE_STREAMING_APPROVALS = {"send_*": {"risk_level": "high"}}
    assert checks.check_held_back(None) == []
    monkeypatch.setitem(sys.modules, "trace_streaming.integrations.langchain", sys)
    (message,) = checks.check_held_back(None)
    assert (message.id, "ApprovalMiddleware" in str(message.hint)) == ("trace_streaming.W007", True)
    monkeypatch.setitem(sys.modules, "trace_streaming.integrations.langchain_middleware", sys)
    assert checks.check_held_back(None) == []
