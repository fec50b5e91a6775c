"""users of the project's own, whose primary keys are UUIDs, and who log in with an address"""

from tests.live.projects.settings.base import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.live.projects.people"]  # noqa: F405
AUTH_USER_MODEL = "people.Person"
