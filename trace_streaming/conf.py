"""Settings: one typed property each, read once, and again after ``override_settings``."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

from django.conf import settings
from django.core import mail
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.functional import cached_property  # functools' has a lock in Python 3.11: held at a fork, for ever

PREFIX = "TRACE_STREAMING_"
_UNSET = object()
_TARGET = re.compile(r"mailto:[^@\s?]+@[^@\s?]+|https?://[^\s/?#@]+(?:[/?][!-~]*)?")
"""Of webhooks without a user: what asks them takes none, nor letters that are not encoded."""
_SITE = re.compile(r"https?://[^\s/]+(?:/\S*)?")
DEFAULT_REDACTOR = "trace_streaming.redaction.redact"


class Rate(NamedTuple):
    """So many times in so many seconds; as many at once."""

    times: int
    seconds: int


def parse_rate(text: str) -> Rate:
    """Read ``"600/min"``: a count, and of ``second``, ``minute``, ``hour`` and ``day`` the first letter.

    :raises ValueError: for other texts
    """
    from rest_framework.throttling import SimpleRateThrottle  # needs Django's settings, which an import does not

    try:
        rate = Rate(*SimpleRateThrottle.parse_rate(SimpleRateThrottle, text))  # type: ignore[arg-type]
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise ValueError(f"Not a rate: {text!r}. Write a count and a period, such as 600/min") from None
    if rate.times < 1:
        raise ValueError(f"Not a rate: {text!r}. The count must be 1 or more")
    return rate


@dataclass(frozen=True)
class Limits:
    """How much of a process each may take. None is no limit."""

    connections: int | None = 20_000
    """Sockets of the process."""
    connections_per_address: int | None = 5_000
    connections_per_trace: int | None = 10_000
    connections_per_user: int | None = 200
    connects_per_address: Rate | None = Rate(6000, 60)
    """Attempts to connect."""
    commands_per_socket: Rate | None = Rate(1000, 1)
    """Frames that a client sends, of any kind."""
    tickets_per_user: Rate | None = Rate(60, 60)
    """Of an anonymous user: per address."""
    events_per_trace: Rate | None = None
    """Events that are recorded; approvals and errors always are."""
    total_events_per_trace: int | None = None
    """The same, without a time."""

    @classmethod
    def of(cls, changes: Mapping[str, Any]) -> Self:
        """The defaults with these changes; rates are text, such as ``"600/min"``.

        :raises ValueError: for an unknown limit, or a value that is none
        """
        kinds = {field.name: field.type for field in fields(cls)}
        limits: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in kinds:
                raise ValueError(f"There is no limit {name!r}; there are {', '.join(kinds)}")
            if value is None:
                limits[name] = None
            elif kinds[name] == "Rate | None":
                limits[name] = parse_rate(value)
            elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
                limits[name] = value
            else:
                raise ValueError(f"{name} must be a whole number above 0, or None")
        return cls(**limits)


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


@dataclass(frozen=True)
class Notify:
    """Who is told what he does not see, and where its page is."""

    site: str = ""
    """The site's address, without a path: ``https://example.com``."""
    approvals: tuple[str, ...] = ()
    """Who is told of approvals that wait: ``mailto:NAME@HOST``, or the address of a webhook."""
    failures: tuple[str, ...] = ()
    """Who is told of traces that end with an error."""
    secret: str = ""
    """Signs webhooks; ``whsec_`` and base64, or any text."""

    @property
    def is_on(self) -> bool:
        """Whether anybody is."""
        return bool(self.approvals or self.failures)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From the setting.

        :raises ValueError: for an unknown key, an address that is none, or none of the site where one is needed
        """
        names = [field.name for field in fields(cls)]
        for name in told:
            if name not in names:
                raise ValueError(f"there is no {name!r}; there are {', '.join(names)}")
        lists = {name: told.get(name, ()) for name in ("approvals", "failures")}
        for name, targets in lists.items():
            if not isinstance(targets, list | tuple) or not all(isinstance(target, str) for target in targets):
                raise ValueError(f"{name} is no list of addresses")
            for target in targets:
                if not _TARGET.fullmatch(target):
                    raise ValueError(
                        f"{name} has an address that is neither mailto:NAME@HOST nor http:// or https:// with a host,"
                        " without a user, and in ASCII behind that"
                    )
        site, secret = told.get("site", ""), told.get("secret", "")
        if not isinstance(secret, str) or not isinstance(site, str):
            raise ValueError("site and secret are texts")  # noqa: TRY004  documented
        if secret.startswith("whsec_") and not _is_base64(secret.removeprefix("whsec_")):
            raise ValueError("secret begins with whsec_, and goes on with what is no base64")
        if any(lists.values()) and not _SITE.fullmatch(site):
            raise ValueError('site is the address of the pages that are told of, such as "https://example.com"')
        return cls(site.rstrip("/"), tuple(lists["approvals"]), tuple(lists["failures"]), secret)


class Conf:
    """The settings of this app; the project's setting has the prefix ``TRACE_STREAMING_``."""

    @cached_property
    def ALLOWED_ORIGINS(self) -> Sequence[str]:
        """Origins of pages, beside those of the site itself, from which a browser's cookies let in."""
        return self._get("ALLOWED_ORIGINS", ())  # type: ignore[no-any-return]

    @cached_property
    def APPROVALS(self) -> Mapping[str, Mapping[str, Any] | None]:
        """Tools that need a human, by patterns of their names, with what is asked; the first that fits counts."""
        return self._get("APPROVALS", {})  # type: ignore[no-any-return]

    @cached_property
    def APPROVAL_PERMISSION_CLASSES(self) -> Sequence[str]:
        """Dotted paths of the DRF permission classes that decide who may decide an approval."""
        return self._get(  # type: ignore[no-any-return]
            "APPROVAL_PERMISSION_CLASSES", ["trace_streaming.permissions.MayDecideApprovals"]
        )

    @cached_property
    def AUTHENTICATION_CLASSES(self) -> Sequence[str] | None:
        """Dotted paths of DRF authentication classes; None: DRF's own default."""
        return self._get("AUTHENTICATION_CLASSES", None)  # type: ignore[no-any-return]

    @cached_property
    def COMPRESSION(self) -> bool:
        """Whether large frames are compressed for clients that can read it."""
        return self._get("COMPRESSION", default=False)  # type: ignore[no-any-return]

    @cached_property
    def PATCH_SERVERS(self) -> bool:
        """Whether daphne's and uvicorn's classes are changed when the app is set up."""
        return self._get("PATCH_SERVERS", default=True)  # type: ignore[no-any-return]

    @cached_property
    def DURABILITY(self) -> str:
        """``async``: ``emit`` returns at once. ``sync``: it waits until the event is stored."""
        return self._get("DURABILITY", "async")  # type: ignore[no-any-return]

    @cached_property
    def EMITTER_EVENTS(self) -> int | None:
        """How many of its events an emitter remembers, the newest; None: all."""
        return self._get("EMITTER_EVENTS", 10_000)  # type: ignore[no-any-return]

    @cached_property
    def EXTRA_EVENTS(self) -> tuple[str, ...]:
        """Event names that this project emits beside the canonical ones; what is no name is none, as a check says."""
        names = self._get("EXTRA_EVENTS", ())
        usable = isinstance(names, list | tuple | set | frozenset)
        return tuple(name for name in names if isinstance(name, str)) if usable else ()

    @cached_property
    def HEAD_CHECK_SECONDS(self) -> float | None:
        """Seconds between looks at the watched logs' heads; None: 1 with an in-memory layer, otherwise 10."""
        return self._get("HEAD_CHECK_SECONDS", None)  # type: ignore[no-any-return]

    @cached_property
    def HEALTH_PERMISSION_CLASSES(self) -> Sequence[str]:
        """Dotted paths of the DRF permission classes that decide whom ``/ws/health`` tells the watched traces' ids."""
        return self._get(  # type: ignore[no-any-return]
            "HEALTH_PERMISSION_CLASSES", ["trace_streaming.permissions.MayViewTraces"]
        )

    @cached_property
    def HEALTH_TIMEOUT_SECONDS(self) -> float:
        """How long ``/ws/health`` waits for the database and for the channel layer, in seconds."""
        return self._get("HEALTH_TIMEOUT_SECONDS", 2.0)  # type: ignore[no-any-return]

    @cached_property
    def HEARTBEAT_SECONDS(self) -> float:
        """Seconds between heartbeats to ``trace-stream.v1`` clients."""
        return self._get("HEARTBEAT_SECONDS", 15.0)  # type: ignore[no-any-return]

    @cached_property
    def INCOMPLETE_AFTER_SECONDS(self) -> float | None:
        """A trace that is silent for so long is taken for ``incomplete``; None: never."""
        return self._get("INCOMPLETE_AFTER_SECONDS", 86_400.0)  # type: ignore[no-any-return]

    @property
    def LEASE_SECONDS(self) -> float | None:
        """How long a process that emits may be silent before its running traces are ``incomplete``; None: for ever.

        Where nothing is set, a test run (``setup_test_environment()``) has none, and no thread that renews it.
        """
        if self._lease_seconds is _UNSET:
            return None if self.is_test_run else 30.0
        return self._lease_seconds  # type: ignore[no-any-return]

    @cached_property
    def _lease_seconds(self) -> Any:
        return self._get("LEASE_SECONDS", _UNSET)

    @cached_property
    def LIMITS(self) -> Mapping[str, Any]:
        """What differs from the defaults of :class:`Limits`."""
        return self._get("LIMITS", {})  # type: ignore[no-any-return]

    @cached_property
    def limits(self) -> Limits:
        """The limits that hold."""
        return Limits.of(self.LIMITS)

    @cached_property
    def MAX_AGE_SECONDS(self) -> float | None:
        """How long a socket may stay open before it has to show credentials again; None: for ever."""
        return self._get("MAX_AGE_SECONDS", 43_200.0)  # type: ignore[no-any-return]

    @cached_property
    def METRICS_PERMISSION_CLASSES(self) -> Sequence[str]:
        """Dotted paths of the DRF permission classes that decide who may read the metrics."""
        return self._get("METRICS_PERMISSION_CLASSES", ["rest_framework.permissions.IsAdminUser"])  # type: ignore[no-any-return]

    @cached_property
    def NOTIFY(self) -> Mapping[str, Any]:
        """What :class:`Notify` has."""
        return self._get("NOTIFY", {})  # type: ignore[no-any-return]

    @cached_property
    def notify(self) -> Notify:
        """Who is told; nobody where the setting is wrong, as a check says."""
        try:
            return Notify.of(self.NOTIFY)
        except (AttributeError, TypeError, ValueError):
            return Notify()

    @cached_property
    def OTLP_ALL_SPANS(self) -> bool:
        """Whether spans of OpenTelemetry that are none of an agent's are kept, as steps."""
        return self._get("OTLP_ALL_SPANS", default=False)  # type: ignore[no-any-return]

    @cached_property
    def PERMISSION_CLASSES(self) -> Sequence[str]:
        """Dotted paths of the DRF permission classes that decide who may watch a trace."""
        return self._get(  # type: ignore[no-any-return]
            "PERMISSION_CLASSES", ["trace_streaming.permissions.IsOwnerOrMayViewTraces"]
        )

    @cached_property
    def QUEUE_SIZE(self) -> int:
        """How many events a process may hold that are not stored yet."""
        return self._get("QUEUE_SIZE", 100_000)  # type: ignore[no-any-return]

    @cached_property
    def RECHECK_SECONDS(self) -> float:
        """Seconds between looks whether the open sockets' users may still watch."""
        return self._get("RECHECK_SECONDS", 5.0)  # type: ignore[no-any-return]

    @property
    def RECORDER(self) -> str:
        """``thread``: a writer thread stores events. ``inline``: ``emit`` itself does.

        Where nothing is set, a test run (``setup_test_environment()``) is inline: a thread would store what a test has
        emitted outside of its transaction, beside it, or after it.
        """
        if self._recorder is _UNSET:
            return "inline" if self.is_test_run else "thread"
        return self._recorder  # type: ignore[no-any-return]

    @cached_property
    def _recorder(self) -> Any:
        return self._get("RECORDER", _UNSET)

    @cached_property
    def REDACTOR(self) -> str:
        """Dotted path of the callable that hides what must not be seen (``trace_streaming.redaction.Redactor``)."""
        return self._get("REDACTOR", DEFAULT_REDACTOR)  # type: ignore[no-any-return]

    @cached_property
    def SPOOL_DIR(self) -> str | os.PathLike[str] | None:
        """A folder of this machine for events that do not fit into memory; None: they are given up."""
        return self._get("SPOOL_DIR", None)  # type: ignore[no-any-return]

    @cached_property
    def STALL_SECONDS(self) -> float:
        """How long a client may take nothing of what waits for it, before its socket is closed with 4008."""
        return self._get("STALL_SECONDS", 60.0)  # type: ignore[no-any-return]

    @cached_property
    def TRACEBACKS(self) -> bool:
        """Whether an error in a block is told with its traceback."""
        return self._get("TRACEBACKS", default=True)  # type: ignore[no-any-return]

    @property
    def is_test_run(self) -> bool:
        """Whether Django is set up for tests (``setup_test_environment()``)."""
        return "outbox" in vars(mail)  # asked with each emit: `hasattr` takes 2 us

    @staticmethod
    def _get(name: str, default: Any) -> Any:
        return getattr(settings, PREFIX + name, default)


conf = Conf()
SETTING_NAMES = frozenset(name for name in vars(Conf) if name.isupper())


@receiver(setting_changed)
def _forget(setting: str, **kwargs: Any) -> None:
    # An emit asks for several, and Django takes 2 us to say that one is not set.
    if setting.startswith(PREFIX):
        vars(conf).clear()
