"""Whether each setting has a value of its kind."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from trace_streaming.conf import PREFIX, SETTING_NAMES, Limits, Notify, conf
from trace_streaming.emitting.asking.policies import problems
from trace_streaming.events import EVENT_NAME_PATTERN
from trace_streaming.recording.spool_files import spool_dir_problem

from .ids import E001, E002, E003, E004, E005, E006, E007, E008, E009, E010, E013, E014, W001, W004, W005

_MAY_BE_NONE: Final = (
    "EMITTER_EVENTS",
    "HEAD_CHECK_SECONDS",
    "INCOMPLETE_AFTER_SECONDS",
    "LEASE_SECONDS",
    "MAX_AGE_SECONDS",
)
_HOST: Final = r"(\.?[\w.-]+|\[[0-9a-f:.]+\])"
_ORIGIN: Final = re.compile(rf"\*|[a-z][a-z0-9+.-]*://{_HOST}(:[0-9]+)?/?|{_HOST}", re.IGNORECASE)
"""What :class:`channels.security.websocket.OriginValidator` can find an origin in: a port needs a scheme."""


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
        "LEASE_SECONDS",
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
    elif strange := [origin for origin in origins if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin)]:
        hint = (
            'Write a scheme and a host, "https://app.example.com"; "https://.example.com" is all hosts below it, too.'
        )
        yield Error(f"TRACE_STREAMING_ALLOWED_ORIGINS has no origins: {strange!r}.", hint=hint, id=E010)
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
        except (ImportError, AttributeError, TypeError, ValueError):
            usable = False
        if not usable:
            hint = "Write the dotted path of something that can be called: package.module.name."
            yield Error(f"TRACE_STREAMING_{name} names {path!r}, which cannot be imported.", hint=hint, id=check_id)


def _check_approvals(policies: object) -> Iterator[CheckMessage]:
    hint = 'Write {"send_*": {"risk_level": "high", "timeout": 600}}; None for what needs nobody.'
    for problem in problems(policies):
        yield Error(f"TRACE_STREAMING_APPROVALS: {problem}.", hint=hint, id=E013)


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
        if isinstance(classes, list | tuple) and all(path == "rest_framework.permissions.AllowAny" for path in classes)
    ]
