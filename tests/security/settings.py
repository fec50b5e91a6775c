"""The site as it is by default, closed, with every kind of credentials that its documentation names."""

import os
from datetime import timedelta

from tests.live.settings import *  # noqa: F403
from tests.live.settings import INSTALLED_APPS

ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = [*dict.fromkeys([*INSTALLED_APPS, "rest_framework.authtoken", "guardian"])]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "guardian.backends.ObjectPermissionBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SIMPLE_JWT = {"ACCESS_TOKEN_LIFETIME": timedelta(minutes=5)}

TRACE_STREAMING_AUTHENTICATION_CLASSES = [
    "rest_framework_simplejwt.authentication.JWTAuthentication",
    "rest_framework.authentication.TokenAuthentication",
    "rest_framework.authentication.SessionAuthentication",
]
del TRACE_STREAMING_PERMISSION_CLASSES, TRACE_STREAMING_HEALTH_PERMISSION_CLASSES  # noqa: F821  opened by the site
TRACE_STREAMING_ALLOWED_ORIGINS = os.environ.get("TEST_ALLOWED_ORIGINS", "").split()
