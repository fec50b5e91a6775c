"""The route of OTLP; a project includes it below whatever prefix."""

from __future__ import annotations

from django.urls import re_path

from .views import SpansView

urlpatterns = [re_path(r"^v1/traces/?$", SpansView.as_view(), name="otlp-traces")]
