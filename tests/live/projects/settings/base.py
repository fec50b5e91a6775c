"""The demonstration site, closed, as a project would have it."""

from tests.live.settings import *  # noqa: F403

ROOT_URLCONF = "tests.live.projects.urls"
ALLOWED_HOSTS = ["*"]
for name in ("PERMISSION", "APPROVAL_PERMISSION", "HEALTH_PERMISSION"):
    globals().pop(f"TRACE_STREAMING_{name}_CLASSES", None)
