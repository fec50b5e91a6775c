"""Golden signals as a table of the admin: what is known, in its unit, and what it means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from trace_streaming.events import MAX_DURATION_MS

DASH: Final = "-"
_LEAST: Final = 0.0005
"""A share that is less is written as none; such a one is not."""

_COUNTS: Final = (
    ("total_steps", _("Completed calls"), _("Tool calls that completed")),
    ("errors", _("Failed calls"), _("Tool calls that failed")),
)
_SHARES: Final = (
    ("success_rate", _("Success rate"), _("Completed / (completed + failed); open calls are neither")),
    ("error_rate", _("Error rate"), _("Failed / (completed + failed); open calls are neither")),
    ("budget_utilization", _("Budget used"), _("Used / total, of the last budget event that tells it")),
)
_TIMES: Final = (
    ("latency", _("Latency of calls"), _("From a call's start to its end; percentiles are nearest-rank")),
    ("approval_wait_time", _("Wait for approvals"), _("Of answered approvals; a timeout is no answer")),
)
_STEPS: Final = (_("Steps per task"), _("Completed calls / plans; a trace without a plan is one task"))


def signals_table(signals: Mapping[str, Any]) -> SafeString:
    """The table; what cannot be known is a dash.

    :param signals: as :func:`trace_streaming.events.golden_signals.golden_signals` gives them
    """
    rows = format_html_join("", '<tr><th scope="row" title="{1}">{0}</th><td>{2}</td></tr>', _rows(signals))
    return format_html('<table class="trace-signals"><tbody>{}</tbody></table>', rows)


def _rows(signals: Mapping[str, Any]) -> Iterator[tuple[str | Promise, str | Promise, str]]:
    for name, label, meaning in _COUNTS:
        yield label, meaning, f"{signals[name]:,}"
    for name, label, meaning in _SHARES:
        yield label, meaning, _percent(signals[name])
    for name, label, meaning in _TIMES:
        yield label, meaning, ", ".join(f"{key} {milliseconds(ms)}" for key, ms in signals[name].items())
    steps = signals["mean_steps_per_task"]
    yield *_STEPS, DASH if steps is None else f"{steps:.1f}"


def milliseconds(value: float | None) -> str:
    """In the unit that people read: ``12 ms``, ``3.40 s``, ``5 min 7 s``, ``2 h 14 min``."""
    if value is None or not 0 <= value < math.inf:
        return DASH
    if value > MAX_DURATION_MS:
        return f"{value:.2e} ms"
    if value < 1_000:
        return f"{value:.0f} ms"
    if value < 60_000:
        return f"{value / 1_000:.2f} s"
    minutes, seconds = divmod(round(value / 1_000), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours:,} h {left} min" if hours else f"{minutes} min {seconds} s"


def _percent(share: float | None) -> str:
    """Of 0 to 1; what is not all is not 100 %, and what is not nothing not 0 %."""
    if share is None:
        return DASH
    if 0 < share < _LEAST:
        return "<0.1%"
    return ">99.9%" if 1 - _LEAST <= share < 1 else f"{share:.1%}"
