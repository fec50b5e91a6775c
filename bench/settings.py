"""The demonstration site as it would be deployed, open to everybody."""

from cuga_site.settings import *  # noqa: F403

DEBUG = False
ALLOWED_HOSTS = ["*"]
SECURE_SSL_REDIRECT = False
TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
