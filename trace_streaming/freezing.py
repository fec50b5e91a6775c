"""The public place of :data:`JSON`: what a project's own redactor is given."""

from __future__ import annotations

from .events.freezing import JSON

__all__ = ["JSON"]
