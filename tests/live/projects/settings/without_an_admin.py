"""no admin, no messages, no schema, no channel layer"""

from tests.live.projects.settings.base import *  # noqa: F403

INSTALLED_APPS = [
    app
    for app in INSTALLED_APPS  # noqa: F405
    if app not in {"django.contrib.admin", "django.contrib.messages", "drf_spectacular", "drf_spectacular_sidecar"}
]
MIDDLEWARE = [name for name in MIDDLEWARE if "messages" not in name]  # noqa: F405
TEMPLATES = [{**TEMPLATES[0], "OPTIONS": {"context_processors": ["django.contrib.auth.context_processors.auth"]}}]  # noqa: F405
ROOT_URLCONF = "tests.live.projects.urls_without_an_admin"
LOGIN_URL = "/login/"
REST_FRAMEWORK = {}
CHANNEL_LAYERS = {}
