"""Which tools need a human before they run, by the project's settings and not by its agents' code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Self

from django.conf import settings

from trace_streaming.conf import conf
from trace_streaming.emitting.decision import DECISIONS, RISK_LEVELS


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked for a tool, as :meth:`.ApprovalEmitter.request_approval` has it."""

    risk_level: str = "medium"
    timeout: float = 300.0
    """Seconds."""
    allowed: tuple[str, ...] = DECISIONS

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """The defaults with these changes.

        :raises ValueError: for an unknown option, or a value that is none
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(options, Mapping) or not options.keys() <= set(names):
            raise ValueError(f"{options!r} is no mapping of {', '.join(names)}")
        risk_level, timeout = options.get("risk_level", "medium"), options.get("timeout", 300.0)
        allowed = options.get("allowed", DECISIONS)
        if risk_level not in RISK_LEVELS:
            raise ValueError(f"{risk_level!r} is no risk level of {', '.join(RISK_LEVELS)}")
        is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        if not is_number or not 0 < timeout <= timedelta(days=365).total_seconds():
            raise ValueError(f"{timeout!r} is no number of seconds above 0, and at most a year")
        if not isinstance(allowed, list | tuple) or not allowed or not set(allowed) <= set(DECISIONS):
            raise ValueError(f"{allowed!r} is no list of {', '.join(DECISIONS)}")
        return cls(risk_level, timeout, tuple(allowed))


def problems(setting: object) -> Iterator[str]:
    """What is wrong with ``TRACE_STREAMING_APPROVALS``."""
    if not isinstance(setting, Mapping):
        yield f"{setting!r} is no mapping of tools' names"
        return
    for pattern, options in setting.items():
        if not isinstance(pattern, str) or not pattern:
            yield f"{pattern!r} is no name of a tool"
        elif options is not None:
            try:
                Policy.of(options)
            except (TypeError, ValueError) as error:
                yield f"{pattern!r}: {error}"


def policy_for(tool_name: str) -> Policy | None:
    """What the first pattern that fits says; None where none does, or it says None. Never raises.

    A policy that cannot be read asks, with the defaults: the system check has said what is wrong with it.
    """
    if not settings.configured or not (policies := conf.APPROVALS):
        return None
    if not isinstance(policies, Mapping):
        return Policy()
    for pattern, options in policies.items():
        if fnmatchcase(tool_name, str(pattern)):
            try:
                return None if options is None else Policy.of(options)
            except (TypeError, ValueError):
                return Policy()
    return None
