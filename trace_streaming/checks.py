"""System checks: what is set up wrong is said at start, with the setting to change. Ids are stable and unique."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import get_channel_layer
from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, router
from django.urls import get_resolver
from django.utils.module_loading import import_string

from .conf import PREFIX, SETTING_NAMES, Limits, Notify, conf
from .emitting.policies import problems
from .events import AGENT_EVENTS, EVENT_NAME_PATTERN, unknown_names
from .models import Trace
from .recording.spool_files import spool_dir_problem

E001 = "trace_streaming.E001"
E002 = "trace_streaming.E002"
E003 = "trace_streaming.E003"
E004 = "trace_streaming.E004"
E005 = "trace_streaming.E005"
E006 = "trace_streaming.E006"
E007 = "trace_streaming.E007"
W001 = "trace_streaming.W001"
W002 = "trace_streaming.W002"
E008 = "trace_streaming.E008"
E009 = "trace_streaming.E009"
E010 = "trace_streaming.E010"
E011 = "trace_streaming.E011"
E012 = "trace_streaming.E012"
E013 = "trace_streaming.E013"
E014 = "trace_streaming.E014"
W003 = "trace_streaming.W003"
W004 = "trace_streaming.W004"
W005 = "trace_streaming.W005"
W006 = "trace_streaming.W006"
W007 = "trace_streaming.W007"
W008 = "trace_streaming.W008"
W009 = "trace_streaming.W009"

ADAPTERS: Final = ("langchain", "openai_agents", "pydantic_ai")
"""Of frameworks: modules of ``trace_streaming.integrations``."""
HELD_BACK_BY: Final = {
    "langchain": ("langchain_middleware", "Give each agent middleware=[ApprovalMiddleware()]"),
    "openai_agents": ("openai_tools", "Give each agent tools=require_approval([...])"),
}
"""What, of modules of ``trace_streaming.integrations``, makes an adapter's tools wait; Pydantic AI's does so itself."""
_MAY_BE_NONE: Final = ("EMITTER_EVENTS", "HEAD_CHECK_SECONDS", "INCOMPLETE_AFTER_SECONDS", "MAX_AGE_SECONDS")


def register_checks() -> None:
    """Register all checks with Django."""
    register(check_settings)
    register(check_databases)
    register(check_sqlite)
    register(check_mysql)
    register(check_redis_hosts)
    register(check_channel_layer)
    register(check_agent_events)
    register(check_held_back)
    register(check_open_doors, Tags.security, deploy=True)


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Each setting has a value of its kind, and each ``TRACE_STREAMING_`` name is one of ours."""
    ours = {name for name in dir(settings) if name.startswith(PREFIX)}
    messages: list[CheckMessage] = [
        checks.Warning(f"Unknown setting {name}.", hint="See the settings reference for its name.", id=W001)
        for name in sorted(ours - {PREFIX + known for known in SETTING_NAMES})
    ]
    messages += _check_extra_events(getattr(settings, PREFIX + "EXTRA_EVENTS", ()))
    if conf.RECORDER not in ("thread", "inline"):
        hint = 'Leave it away, or set it to "inline" in tests.'
        messages.append(Error('TRACE_STREAMING_RECORDER must be "thread" or "inline".', hint=hint, id=E002))
    if conf.DURABILITY not in ("async", "sync"):
        hint = 'Leave it away, or set it to "sync" where no event may be lost with the process.'
        messages.append(Error('TRACE_STREAMING_DURABILITY must be "async" or "sync".', hint=hint, id=E006))
    messages += _check_callables("REDACTOR", [conf.REDACTOR], E003)
    messages += _check_callables("PERMISSION_CLASSES", conf.PERMISSION_CLASSES, E004)
    messages += _check_callables("APPROVAL_PERMISSION_CLASSES", conf.APPROVAL_PERMISSION_CLASSES, E004)
    messages += _check_callables("HEALTH_PERMISSION_CLASSES", conf.HEALTH_PERMISSION_CLASSES, E004)
    messages += _check_callables("METRICS_PERMISSION_CLASSES", conf.METRICS_PERMISSION_CLASSES, E004)
    if conf.AUTHENTICATION_CLASSES is not None:
        messages += _check_callables("AUTHENTICATION_CLASSES", conf.AUTHENTICATION_CLASSES, E009)
    messages += _check_limits(conf.LIMITS)
    messages += _check_approvals(conf.APPROVALS)
    messages += _check_notify(conf.NOTIFY)
    messages += _check_origins(conf.ALLOWED_ORIGINS)
    messages += _check_spool_dir(conf.SPOOL_DIR)
    for name in (
        "EMITTER_EVENTS",
        "HEAD_CHECK_SECONDS",
        "HEALTH_TIMEOUT_SECONDS",
        "HEARTBEAT_SECONDS",
        "INCOMPLETE_AFTER_SECONDS",
        "MAX_AGE_SECONDS",
        "QUEUE_SIZE",
        "RECHECK_SECONDS",
        "STALL_SECONDS",
    ):
        value = getattr(conf, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and value > 0) and not (name in _MAY_BE_NONE and value is None):
            hint = "Leave it away for the default, or set a number above 0."
            messages.append(Error(f"TRACE_STREAMING_{name} must be a number above 0.", hint=hint, id=E005))
    return messages


def _check_limits(limits: object) -> Iterator[CheckMessage]:
    try:
        Limits.of(limits)  # type: ignore[arg-type]
    except (AttributeError, TypeError, ValueError) as error:
        hint = 'Write what differs from the defaults: {"connections_per_user": 50, "connects_per_address": "100/min"}.'
        yield Error(f"TRACE_STREAMING_LIMITS: {error}.", hint=hint, id=E008)


def _check_notify(told: object) -> Iterator[CheckMessage]:
    try:
        Notify.of(told)  # type: ignore[arg-type]
    except (AttributeError, TypeError, ValueError) as error:
        hint = 'Write {"site": "https://example.com", "approvals": ["mailto:ops@example.com"], "failures": []}.'
        yield Error(f"TRACE_STREAMING_NOTIFY: {error}.", hint=hint, id=E014)


def _check_origins(origins: object) -> Iterator[CheckMessage]:
    if not isinstance(origins, list | tuple | set | frozenset):
        hint = 'Set a list of origins, such as ["https://app.example.com"].'
        yield Error(f"TRACE_STREAMING_ALLOWED_ORIGINS is no list: {origins!r}.", hint=hint, id=E010)
    elif "*" in origins:
        hint = "Name the origins; pages without the user's cookies can use tickets."
        yield checks.Warning(
            "TRACE_STREAMING_ALLOWED_ORIGINS lets every page use the cookies of its visitors.", hint=hint, id=W004
        )


def _check_spool_dir(folder: object) -> Iterator[CheckMessage]:
    if folder is None:
        return
    usable = isinstance(folder, str | os.PathLike) and bool(folder)
    if usable:
        path = Path(str(folder)).absolute()
        nearest = next(existing for existing in (path, *path.parents) if existing.exists())
        usable = nearest.is_dir() and os.access(nearest, os.W_OK)
        if usable and nearest == path and (problem := spool_dir_problem(path)) is not None:
            hint = "Give it to the user that the site runs as, and to nobody else: chmod 700."
            yield Error(f"TRACE_STREAMING_SPOOL_DIR is not safe: {folder!r}. {problem}.", hint=hint, id=E007)
    if not usable:
        hint = "Set the path of a folder on this machine that the process may write to, or make."
        yield Error(f"TRACE_STREAMING_SPOOL_DIR is no writable folder: {folder!r}.", hint=hint, id=E007)


def _is_event_name(name: object) -> bool:
    return isinstance(name, str) and EVENT_NAME_PATTERN.fullmatch(name) is not None


def _check_extra_events(names: object) -> Iterator[CheckMessage]:
    usable = isinstance(names, list | tuple | set | frozenset)
    bad = [name for name in names if not _is_event_name(name)] if isinstance(names, Iterable) and usable else names
    if bad or not usable:
        hint = "Set a list; a name has 1 to 64 of a-z 0-9 _ and begins with a letter."
        yield Error(f"TRACE_STREAMING_EXTRA_EVENTS has no event names: {bad!r}.", hint=hint, id=E001)


def _check_callables(name: str, paths: object, check_id: str) -> Iterator[CheckMessage]:
    if not isinstance(paths, list | tuple) or not paths:  # nobody would be asked, so everybody would be let in
        hint = "Leave it away for the default."
        yield Error(f"TRACE_STREAMING_{name} must be a list of dotted paths, and not empty.", hint=hint, id=check_id)
        return
    for path in paths:
        try:
            usable = callable(import_string(path))
        except (ImportError, AttributeError, TypeError):
            usable = False
        if not usable:
            hint = "Write the dotted path of something that can be called: package.module.name."
            yield Error(f"TRACE_STREAMING_{name} names {path!r}, which cannot be imported.", hint=hint, id=check_id)


def check_databases(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """One database holds the log and the users that own its traces, for all tenants."""
    messages: list[CheckMessage] = []
    traces, users = router.db_for_write(Trace), router.db_for_write(get_user_model())
    if traces != users:
        hint = "Have the routers give trace_streaming the database of the user model: owners are foreign keys."
        text = f"The traces are in the database {traces!r}, and the users who own them in {users!r}."
        messages.append(Error(text, hint=hint, id=E011))
    tenant_apps = getattr(settings, "TENANT_APPS", ())
    if any(str(name).split(".")[0] == "trace_streaming" for name in tenant_apps):
        hint = "Move it to SHARED_APPS; metadata or an owner say whose a trace is."
        text = "trace_streaming is among the TENANT_APPS: its writer and its sockets know of no tenant."
        messages.append(Error(text, hint=hint, id=E012))
    return messages


def check_sqlite(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """SQLite is set so that watchers can read while events are written, and writers wait for each other."""
    connection = connections[router.db_for_write(Trace)]
    if connection.vendor != "sqlite":
        return []
    options = connection.settings_dict.get("OPTIONS", {})
    wal = "journal_mode=wal" in str(options.get("init_command", "")).replace(" ", "").lower()
    immediate = str(options.get("transaction_mode", "")).upper() == "IMMEDIATE"
    if wal and immediate:
        return []
    hint = (
        'Set the database\'s OPTIONS to {"transaction_mode": "IMMEDIATE", "timeout": 20,'
        ' "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"}.'
    )
    return [checks.Warning("SQLite without WAL and immediate transactions makes writers fail.", hint=hint, id=W002)]


def check_mysql(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """MySQL and MariaDB show what others have committed meanwhile, and take every character."""
    connection = connections[router.db_for_write(Trace)]
    if connection.vendor != "mysql":
        return []
    options = connection.settings_dict.get("OPTIONS", {})
    isolation, charset = options.get("isolation_level", "read committed"), options.get("charset", "utf8mb4")
    if str(isolation).lower() == "read committed" and str(charset).lower() == "utf8mb4":
        return []
    hint = (
        'Leave them out of the database\'s OPTIONS, or set {"isolation_level": "read committed", "charset": "utf8mb4"}.'
    )
    text = "MySQL's isolation_level or charset lets events be stored twice, or refuses them."
    return [checks.Warning(text, hint=hint, id=W008)]


def check_open_doors(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """In production, not everybody may watch and decide."""
    open_doors = {
        "PERMISSION_CLASSES": conf.PERMISSION_CLASSES,
        "APPROVAL_PERMISSION_CLASSES": conf.APPROVAL_PERMISSION_CLASSES,
        "METRICS_PERMISSION_CLASSES": conf.METRICS_PERMISSION_CLASSES,
    }
    hint = "Name a class that asks who it is, or leave the setting away for the default."
    return [
        checks.Warning(f"TRACE_STREAMING_{name} lets everybody in.", hint=hint, id=W005)
        for name, classes in open_doors.items()
        if set(classes) <= {"rest_framework.permissions.AllowAny"}
    ]


def check_redis_hosts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Redis hosts have no read timeout: redis-py 8 otherwise ends an idle ``receive`` after 5 seconds."""
    layers = getattr(settings, "CHANNEL_LAYERS", {})
    config = layers.get("default", {})
    if not str(config.get("BACKEND", "")).startswith("channels_redis."):
        return []
    hosts = config.get("CONFIG", {}).get("hosts") or ["redis://localhost:6379"]
    if all(isinstance(host, dict) and host.get("socket_timeout", ...) is None for host in hosts):
        return []
    hint = 'Write each of CHANNEL_LAYERS["default"]["CONFIG"]["hosts"] as {"address": url, "socket_timeout": None}.'
    return [checks.Warning("A Redis host of the channel layer has a read timeout.", hint=hint, id=W003)]


def check_channel_layer(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The channel layer is what is configured: where making it raises KeyError, Channels says that there is none."""
    if DEFAULT_CHANNEL_LAYER not in getattr(settings, "CHANNEL_LAYERS", {}) or get_channel_layer() is not None:
        return []
    hint = 'See what channels.layers.channel_layers["default"] raises: often it is a missing key of CONFIG.'
    return [checks.Warning("The channel layer cannot be made; news are of one process.", hint=hint, id=W009)]


def _adapters_in_use(*names: str) -> list[str]:
    with suppress(Exception):  # agents are imported with the views that run them; other checks tell what is wrong there
        _ = get_resolver().url_patterns
    return [name for name in names if f"trace_streaming.integrations.{name}" in sys.modules]


def _check_approvals(policies: object) -> Iterator[CheckMessage]:
    hint = 'Write {"send_*": {"risk_level": "high", "timeout": 600}}; None for what needs nobody.'
    for problem in problems(policies):
        yield Error(f"TRACE_STREAMING_APPROVALS: {problem}.", hint=hint, id=E013)


def check_held_back(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Where tools need a human, each adapter that is in use can wait for one."""
    messages: list[CheckMessage] = []
    for adapter, (module, how) in HELD_BACK_BY.items() if conf.APPROVALS else ():
        if _adapters_in_use(adapter, module) == [adapter]:
            text = f"TRACE_STREAMING_APPROVALS names tools, and nothing holds back those of {adapter}."
            messages.append(checks.Warning(text, hint=f"{how}; other agents' tools run without a human.", id=W007))
    return messages


def check_agent_events(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A project that has imported an adapter of a framework has declared what it tells."""
    used = _adapters_in_use(*ADAPTERS)
    missing = unknown_names(AGENT_EVENTS, conf.EXTRA_EVENTS)
    if not used or not missing:
        return []
    hint = "Set TRACE_STREAMING_EXTRA_EVENTS = trace_streaming.AGENT_EVENTS, or add them to your own names."
    text = f"The adapter {used[0]} shows tools alone: {', '.join(missing)} are not declared."
    return [checks.Warning(text, hint=hint, id=W006)]
