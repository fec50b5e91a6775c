"""What is hidden: secrets, and the numbers of persons, before anything but the agent can see them.

Called where events are made, once each, and for whatever else is kept of what somebody wrote. Plain Python: it knows
nothing of Django, of settings, or of who calls.
"""

from __future__ import annotations

from trace_streaming.events.freezing import JSON

from .known.memory import register_secret
from .redactor import REDACTION_FAILED, Redactor, redact, redact_text

__all__ = ["JSON", "REDACTION_FAILED", "Redactor", "redact", "redact_text", "register_secret"]
