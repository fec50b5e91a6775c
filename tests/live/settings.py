"""The site, with a way for tests to emit inside the serving process."""

from cuga_site.settings import *  # noqa: F403

ROOT_URLCONF = "tests.live.urls"
DATA_UPLOAD_MAX_MEMORY_SIZE = None
