"""Whether the databases are set up so that no event is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db import connections, router

from trace_streaming.models import Trace

from .ids import E011, E012, W002, W008


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
