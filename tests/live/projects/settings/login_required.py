"""`LoginRequiredMiddleware`, gzip, conditional requests, a site-wide cache, a synchronous middleware"""

from tests.live.projects.settings.base import *  # noqa: F403

MIDDLEWARE = [
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    *MIDDLEWARE,  # noqa: F405
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "tests.live.projects.middleware.Plain",
    "django.middleware.cache.FetchFromCacheMiddleware",
]
