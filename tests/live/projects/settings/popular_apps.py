"""django-debug-toolbar, django-silk, sentry-sdk, django-axes, django-cors-headers, WhiteNoise, django-csp: nonces"""

import sentry_sdk
from csp.constants import NONCE, SELF

from tests.live.projects.settings.base import *  # noqa: F403

sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, before_send_transaction=lambda *_: None)
INSTALLED_APPS = ["debug_toolbar", "silk", "axes", "csp", "corsheaders", *INSTALLED_APPS]  # noqa: F405
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
ROOT_URLCONF = "tests.live.projects.urls_of_popular_apps"
MIDDLEWARE = [
    "silk.middleware.SilkyMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "debug_toolbar.middleware.DebugToolbarMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    *(name for name in MIDDLEWARE if not name.startswith("cuga_site")),  # noqa: F405
    "axes.middleware.AxesMiddleware",
]
INTERNAL_IPS = ["127.0.0.1"]
CORS_ALLOWED_ORIGINS = ["https://front.example.com"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": [NONCE, "'strict-dynamic'"],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
    }
}
