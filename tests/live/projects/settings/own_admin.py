"""an admin site of the project's own, with another name and another place"""

from tests.live.projects.settings.base import *  # noqa: F403

INSTALLED_APPS = [
    "tests.live.projects.own_admin.OwnAdminConfig" if app == "django.contrib.admin" else app
    for app in INSTALLED_APPS  # noqa: F405
]
