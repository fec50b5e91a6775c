"""Which processes live, what they have open, and what they have left in files."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .indexes import WithIndexes
from .log import Trace


class SpoolSegment(WithIndexes):
    """How far a file of the spool is stored: kept in the transaction that stores its records, so none is stored twice.

    It is deleted when the file is; a process that is killed between the two leaves it behind.
    """

    name = models.CharField(_("name"), max_length=400, primary_key=True)
    position = models.PositiveBigIntegerField(_("records stored"))

    class Meta:
        verbose_name = _("spool segment")
        verbose_name_plural = _("spool segments")

    def __str__(self) -> str:
        return self.name


class StreamServer(models.Model):
    """A process that serves sockets. It says every few seconds that it lives; its row is deleted when it ends."""

    name = models.CharField(_("name"), max_length=32, unique=True)
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process id"))
    started_at = models.DateTimeField(_("started"))
    seen_at = models.DateTimeField(_("last seen"))
    connections = models.PositiveIntegerField(_("connections"), default=0)
    traces = models.PositiveIntegerField(_("watched traces"), default=0)
    first_traces = models.JSONField(_("first traces"), default=list, help_text=_("The first ten, in order of name."))
    watchers = models.JSONField(
        _("watchers"), default=dict, help_text=_("Connections by trace, of the thousand with the most.")
    )

    class Meta:
        verbose_name = _("stream server")
        verbose_name_plural = _("stream servers")
        ordering = ["host", "pid"]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class EmitterLease(WithIndexes):
    """Says that a process that emits is alive. Renewed every few seconds; once it has run out, it never is.

    The process takes another then. The row stays for an hour: one that was stopped in the middle of a transaction may
    still write what it holds.
    """

    sender = models.CharField(_("sender"), max_length=64, blank=True, help_text=_("Of a program elsewhere: its id."))
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process id"), null=True)
    started_at = models.DateTimeField(_("started"))
    expires_at = models.DateTimeField(_("expires"), db_index=True, help_text=_("By the clock of the database."))

    class Meta:
        verbose_name = _("emitter's lease")
        verbose_name_plural = _("emitters' leases")
        indexes = [
            models.Index(fields=["sender"], condition=~models.Q(sender=""), name="trace_streaming_sender"),
        ]

    def __str__(self) -> str:
        return self.sender or f"{self.host}:{self.pid}"


class HeldTrace(models.Model):
    """A trace that a process has open. Deleted by that process, with its lease, or with the trace, and by nobody else.

    So what a process remembers of its own holds is true, and it asks for none of them again.
    """

    trace = models.ForeignKey(Trace, on_delete=models.CASCADE, related_name="holders", db_index=False)
    lease = models.ForeignKey(
        EmitterLease,
        on_delete=models.CASCADE,
        related_name="held",
        db_constraint=False,  # an event must not be refused because its process was stopped for an hour
    )

    class Meta:
        verbose_name = _("held trace")
        verbose_name_plural = _("held traces")
        constraints = [models.UniqueConstraint(fields=["trace", "lease"], name="trace_streaming_held")]

    def __str__(self) -> str:
        return f"{self.trace_id} {self.lease_id}"
