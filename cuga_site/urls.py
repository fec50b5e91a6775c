"""The demonstration site's routes."""

from django.contrib import admin
from django.urls import include, path

from . import views

urlpatterns = [
    path("", views.trace_list, name="trace-list"),
    path("traces/<str:trace_id>", views.trace_page, name="trace-page"),
    path("", include("trace_streaming.urls")),
    path("admin/", admin.site.urls),
]
