"""The Django admin: traces to watch, to export and to prune; approvals to decide; the servers that live.

Django calls it by its name. Nothing in it changes an event.
"""

from __future__ import annotations

from . import approvals, traces  # noqa: F401  they register themselves
