"""The app."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class TraceStreamingConfig(AppConfig):
    """Connects the recorder, registers the system checks, and prepares the server that is loaded."""

    name = "trace_streaming"
    verbose_name = _("Trace streaming")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Run once, when all models are loaded."""
        from . import approval_desk, checks, recorder, servers

        checks.register_checks()
        recorder.connect()
        approval_desk.connect()
        servers.install()
        if apps.is_installed("drf_spectacular"):
            from .api import openapi  # noqa: F401  it registers itself
