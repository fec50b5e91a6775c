"""The app's routes alone."""

from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.urls import include, path

from tests.live.projects.files import file

urlpatterns = [
    path("static/<path:path>", file),
    path("", include("trace_streaming.urls")),
    path("", include("trace_streaming.otlp.urls")),
    path("login/", LoginView.as_view(template_name="trace_streaming/page.html"), name="login"),
]
