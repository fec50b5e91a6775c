"""sessions in signed cookies, CSRF tokens in the session, other names of cookies and headers"""

from tests.live.projects.settings.base import *  # noqa: F403

SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_NAME = "visit"
SESSION_COOKIE_SAMESITE = "Strict"
CSRF_USE_SESSIONS = True
CSRF_HEADER_NAME = "HTTP_X_OURS"
