"""`USE_TZ = False` in New York, `ATOMIC_REQUESTS`, German with thousand separators, a first day of the week"""

from tests.live.projects.settings.base import *  # noqa: F403

USE_TZ = False
TIME_ZONE = "America/New_York"
LANGUAGE_CODE = "de"
USE_THOUSAND_SEPARATOR = True
FIRST_DAY_OF_WEEK = 1
DATABASES["default"]["ATOMIC_REQUESTS"] = True  # noqa: F405
