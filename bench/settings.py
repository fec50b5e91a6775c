"""The demonstration site as it would be deployed, open to everybody."""

import os

from cuga_site.settings import *  # noqa: F403

DEBUG = False
ALLOWED_HOSTS = ["*"]
SECURE_SSL_REDIRECT = False
TRACE_STREAMING_COMPRESSION = bool(os.environ.get("COMPRESSION"))
TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework.authtoken"]  # noqa: F405
TRACE_STREAMING_AUTHENTICATION_CLASSES = [
    "rest_framework.authentication.TokenAuthentication",
    "rest_framework.authentication.SessionAuthentication",
]
