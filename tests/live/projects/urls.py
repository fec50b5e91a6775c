"""The demonstration's routes, and static files, which another server has in front of it."""

from __future__ import annotations

from django.urls import path

from cuga_site.urls import urlpatterns as site_urlpatterns
from tests.live.projects.files import file

urlpatterns = [path("static/<path:path>", file), *site_urlpatterns]
