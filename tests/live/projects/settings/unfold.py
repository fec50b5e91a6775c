"""an admin by django-unfold"""

from tests.live.projects.settings.base import *  # noqa: F403

INSTALLED_APPS = ["unfold", *INSTALLED_APPS]  # noqa: F405
MIDDLEWARE = [name for name in MIDDLEWARE if not name.startswith("cuga_site")]  # noqa: F405
