"""The HTTP routes: ``ws/health``."""

from __future__ import annotations

from django.urls import path

from .views import HealthView

app_name = "trace_streaming"

urlpatterns = [path("ws/health", HealthView.as_view(), name="health")]
