"""The public place of :func:`series_signals` and :func:`tool_signals`: golden signals over time, and by tool."""

from __future__ import annotations

from .analytics.series import series_signals, tool_signals

__all__ = ["series_signals", "tool_signals"]
