"""With the pages that such apps have of their own."""

from __future__ import annotations

from django.urls import include, path

from tests.live.projects.urls import urlpatterns as others

urlpatterns = [path("__debug__/", include("debug_toolbar.urls")), path("silk/", include("silk.urls")), *others]
