"""The site, with tasks in its database."""

from importlib.util import find_spec

from tests.live.settings import *  # noqa: F403

INSTALLED_APPS = [
    *INSTALLED_APPS,  # noqa: F405
    *([] if find_spec("django.tasks") else ["django_tasks"]),  # Django has them from 6.0 on
    "django_tasks_db",
]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
