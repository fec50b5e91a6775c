"""Static files: as they were collected, where they are; else as they are found."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, staticfiles_storage
from django.http import Http404, HttpRequest, HttpResponse


def file(request: HttpRequest, path: str) -> HttpResponse:
    """One of them."""
    is_collected = isinstance(staticfiles_storage, ManifestStaticFilesStorage)
    place = Path(settings.STATIC_ROOT) / path if is_collected else finders.find(path)
    if place is None or not Path(place).is_file():
        raise Http404(path)
    return HttpResponse(Path(place).read_bytes(), content_type=mimetypes.guess_type(path)[0])
