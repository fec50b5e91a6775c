"""`FORCE_SCRIPT_NAME`, TLS that ends at a proxy, `SECURE_SSL_REDIRECT`, secure cookies, `X-Forwarded-Host`"""

from tests.live.projects.settings.base import *  # noqa: F403

FORCE_SCRIPT_NAME = "/under"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
USE_X_FORWARDED_HOST = True
