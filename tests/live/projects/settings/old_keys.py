"""`AutoField` for keys, `APPEND_SLASH = False`, no referrer policy, frames allowed, no logging"""

from tests.live.projects.settings.base import *  # noqa: F403

DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
APPEND_SLASH = False
SECURE_REFERRER_POLICY = None
X_FRAME_OPTIONS = "SAMEORIGIN"
LOGGING_CONFIG = None
