"""The app."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.conf import settings
from django.db.models.signals import post_delete, pre_delete
from django.utils.translation import gettext_lazy as _


class TraceStreamingConfig(AppConfig):
    """Connects the recorder, registers the system checks, and prepares the server that is loaded."""

    name = "trace_streaming"
    verbose_name = _("Trace streaming")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Run once, when all models are loaded."""
        from . import checks, recorder
        from .approvals import calling, waiting
        from .emitting import surroundings
        from .notifying import telling
        from .servers import patches
        from .servers.shutting_down import shutdown
        from .stopping import listening
        from .storage import retention
        from .watching import deltas

        checks.register_checks()
        surroundings.learn_environment()
        surroundings.learn_settings(settings)
        recorder.connect()
        waiting.connect()
        listening.connect()
        telling.connect()
        calling.connect()
        deltas.connect()
        post_delete.connect(
            retention.forget_what_was_asked, self.get_model("Trace"), dispatch_uid="trace_streaming.approvals"
        )
        pre_delete.connect(retention.forget_user, settings.AUTH_USER_MODEL, dispatch_uid="trace_streaming.users")
        shutdown.close_connections, shutdown.end_process = _close_connections, _end_process
        patches.install()
        if apps.is_installed("drf_spectacular"):
            from .api import openapi  # noqa: F401  it registers itself


async def _close_connections() -> None:
    from .connections import ending  # not for every process that emits

    await ending.close_connections()


def _end_process() -> None:
    from .connections import ending

    ending.end_process()
