"""What agents ask humans, what these ask of them, and who is told."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .texts import in_order


class Approval(models.Model):
    """What an agent has asked a human, and the one decision that was taken."""

    approval_id = models.CharField(_("approval id"), max_length=64, unique=True)
    trace_id = models.CharField(_("trace id"), max_length=128, db_index=True)
    action = models.CharField(_("action"), max_length=200)
    tool_name = models.CharField(_("tool"), max_length=200, blank=True)
    risk_level = models.CharField(_("risk"), max_length=16)
    arguments = models.JSONField(_("arguments"), default=dict, help_text=_("As humans see them: redacted."))
    arguments_hash = models.CharField(_("hash of the arguments"), max_length=64)
    allowed = models.JSONField(_("allowed decisions"), default=list)
    schema = models.JSONField(_("JSON schema of the arguments"), null=True)
    requested_at = models.DateTimeField(_("requested"))
    expires_at = models.DateTimeField(_("expires"))
    decision = models.CharField(_("decision"), max_length=16, blank=True, help_text=_("Empty while it is open."))
    decided_at = models.DateTimeField(_("decided"), null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("decided by"), on_delete=models.SET_NULL, related_name="+", null=True
    )
    decided_by_name = models.CharField(_("name of who decided"), max_length=254, blank=True)
    channel = models.CharField(_("decided through"), max_length=16, blank=True)
    comment = models.TextField(_("comment"), blank=True)
    edited_arguments = models.JSONField(_("edited arguments"), null=True, help_text=_("As humans see them: redacted."))
    edited_sealed = models.TextField(
        _("edited arguments, sealed"),
        blank=True,
        help_text=_("As they were written, for the agent alone: encrypted with SECRET_KEY."),
    )
    on_decision = models.CharField(
        _("called when it is decided"), max_length=300, blank=True, help_text=_("A dotted path, signed.")
    )
    group = models.CharField(
        _("asked with"), max_length=64, blank=True, help_text=_("What is asked together is called for once.")
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked by"),
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        help_text=_("From a program elsewhere: whose token it has."),
    )
    call_at = models.DateTimeField(
        _("to be called"), null=True, help_text=_("Of what is decided; empty when it was called.")
    )

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        ordering = ["-requested_at", "-pk"]
        indexes = [
            models.Index(fields=["decision", "expires_at"], name="trace_streaming_undecided"),
            models.Index(fields=["-requested_at", "-id"], name="trace_streaming_asked"),
            models.Index(fields=["call_at"], name="trace_streaming_uncalled"),
        ]
        permissions = [("decide_approval", _("Can decide approvals"))]

    def __str__(self) -> str:
        return f"{in_order(self.action)} ({self.trace_id})"


class StopRequest(models.Model):
    """That somebody has asked a trace's run to stop."""

    trace_id = models.CharField(_("trace id"), max_length=128, db_index=True)
    requested_at = models.DateTimeField(_("requested"))
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("requested by"), on_delete=models.SET_NULL, related_name="+", null=True
    )
    requested_by_name = models.CharField(_("name of who requested it"), max_length=254, blank=True)
    channel = models.CharField(_("requested through"), max_length=16)
    comment = models.TextField(_("comment"), blank=True)
    is_standing = models.BooleanField(_("stands"), default=True, help_text=_("Until the trace ends."))

    class Meta:
        verbose_name = _("request to stop")
        verbose_name_plural = _("requests to stop")

    def __str__(self) -> str:
        return self.trace_id


class Notification(models.Model):
    """That somebody is to be told of an approval that waits, or of a trace that failed. Deleted when he was."""

    kind = models.CharField(_("kind"), max_length=16)
    subject = models.CharField(_("subject"), max_length=200)
    trace_id = models.CharField(_("trace id"), max_length=128)
    target = models.CharField(
        _("target"), max_length=64, help_text=_("SHA-256 of the address: many a webhook's is a secret.")
    )
    noted_at = models.DateTimeField(_("noted"))
    due_at = models.DateTimeField(_("due"), db_index=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [models.UniqueConstraint(fields=["kind", "subject", "target"], name="trace_streaming_noted")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
