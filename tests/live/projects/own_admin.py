"""An admin site of a project's own."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig


class OwnAdminSite(AdminSite):
    """Its texts are others."""

    site_header = "Back office"


class OwnAdminConfig(AdminConfig):
    """As Django's documentation overrides the default site."""

    default_site = "tests.live.projects.own_admin.OwnAdminSite"
