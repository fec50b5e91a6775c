"""Arabic, written from right to left, by `LocaleMiddleware`; Kathmandu's time, three quarters of an hour off"""

from tests.live.projects.settings.base import *  # noqa: F403

LANGUAGE_CODE = "ar"
TIME_ZONE = "Asia/Kathmandu"
MIDDLEWARE = [*MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]  # noqa: F405
