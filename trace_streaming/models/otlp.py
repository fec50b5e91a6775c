"""What is remembered of spans that are no events."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .log import Trace
from .times import stored_now


class LeftOutSpan(models.Model):
    """A span of OpenTelemetry that is none of an agent's, and what it is inside of: so is what is inside of it.

    Whichever comes first. Kept for a day; a trace may not have begun, and may never.
    """

    trace_id = models.CharField(_("trace id"), max_length=128)
    span_id = models.CharField(_("span id"), max_length=16)
    parent_id = models.CharField(_("parent's span id"), max_length=16, blank=True)
    stored_at = models.DateTimeField(_("stored"), default=stored_now, db_index=True)

    class Meta:
        verbose_name = _("left out span")
        verbose_name_plural = _("left out spans")
        constraints = [models.UniqueConstraint(fields=["trace_id", "span_id"], name="trace_streaming_left_out")]
        indexes = [models.Index(fields=["trace_id", "parent_id"], name="trace_streaming_left_out_in")]

    def __str__(self) -> str:
        return self.span_id


class EndedRoot(models.Model):
    """A root span of OpenTelemetry has ended: so does its trace, once nothing more comes. Kept for a day."""

    trace_id = models.CharField(_("trace id"), max_length=128, unique=True)
    state = models.CharField(_("state"), max_length=16, choices=Trace.State.choices)
    ended_at = models.DateTimeField(_("ended"), help_text=_("Of several roots, the last."))
    stored_at = models.DateTimeField(_("stored"), default=stored_now, db_index=True)
    claimed_at = models.DateTimeField(_("claimed"), null=True, help_text=_("By a process that ends the trace."))

    class Meta:
        verbose_name = _("ended root")
        verbose_name_plural = _("ended roots")

    def __str__(self) -> str:
        return self.trace_id
