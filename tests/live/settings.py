"""The site, with a way for tests to emit inside the serving process."""

import os

from cuga_site.settings import *  # noqa: F403

ROOT_URLCONF = "tests.live.urls"
if seconds := os.environ.get("STALL_SECONDS"):
    TRACE_STREAMING_STALL_SECONDS = TRACE_STREAMING_HEARTBEAT_SECONDS = float(seconds)
if seconds := os.environ.get("LEASE_SECONDS"):
    TRACE_STREAMING_LEASE_SECONDS = float(seconds)
TRACE_STREAMING_PATCH_SERVERS = not os.environ.get("UNPATCHED")
TRACE_STREAMING_COMPRESSION = bool(os.environ.get("COMPRESSION"))
DATA_UPLOAD_MAX_MEMORY_SIZE = None
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # with each request of a test, and not of use else
INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework.authtoken"]  # noqa: F405
TRACE_STREAMING_AUTHENTICATION_CLASSES = [
    "rest_framework.authentication.TokenAuthentication",
    "rest_framework.authentication.BasicAuthentication",
    "rest_framework.authentication.SessionAuthentication",
]
TRACE_STREAMING_METRICS_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
