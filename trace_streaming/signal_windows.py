"""The public place of :func:`window_signals` and :func:`trace_signals`: golden signals of a window, and of a trace."""

from __future__ import annotations

from .analytics.windows import trace_signals, window_signals

__all__ = ["trace_signals", "window_signals"]
