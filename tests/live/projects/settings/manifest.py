"""`ManifestStaticFilesStorage`, `DEBUG` off"""

from pathlib import Path

from tests.live.projects.settings.base import *  # noqa: F403

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
STATIC_ROOT = Path(DATABASES["default"]["NAME"]).parent / "static"  # noqa: F405
DEBUG = False
