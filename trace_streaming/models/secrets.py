"""What is known of secrets, and tickets."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .log import Trace


class HiddenValue(models.Model):
    """That a value was hidden in a trace, for the process that goes on with it: a keyed digest, nothing else of it."""

    trace = models.ForeignKey(
        Trace, verbose_name=_("trace"), on_delete=models.CASCADE, related_name="+", db_index=False
    )
    digest = models.CharField(_("digest"), max_length=64)

    class Meta:
        verbose_name = _("hidden value")
        verbose_name_plural = _("hidden values")
        constraints = [models.UniqueConstraint(fields=["trace", "digest"], name="trace_streaming_hidden")]

    def __str__(self) -> str:
        return self.digest


class Ticket(models.Model):
    """Lets one socket watch one trace, once, soon: for clients that can send neither cookies nor headers."""

    digest = models.CharField(_("digest"), max_length=64, primary_key=True, help_text=_("SHA-256 of the ticket."))
    trace_id = models.CharField(_("trace id"), max_length=128)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="+", null=True
    )
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    user_hash = models.CharField(_("session hash of the user"), max_length=128, blank=True)
    session_key = models.CharField(_("session that asked for it"), max_length=40, blank=True)
    token_model = models.CharField(_("kind of the token that asked for it"), max_length=200, blank=True)
    token_key = models.CharField(_("primary key of the token that asked for it"), max_length=255, blank=True)
    valid_until = models.DateTimeField(_("end of the credentials that asked for it"), null=True)

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")

    def __str__(self) -> str:
        return self.trace_id
