"""The dashboard's pages, for those who are not logged in."""

from __future__ import annotations

from types import ModuleType

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import include, path
from django.views.generic import View
from pytest_django import Settings

pytestmark = pytest.mark.django_db

OURS = path("", include("trace_streaming.urls"))
ADMIN = path("admin/", admin.site.urls)
LOGIN = path("accounts/login/", View.as_view(), name="login")


@pytest.mark.parametrize("page", ["/dashboard/", "/dashboard/traces/", "/dashboard/traces/t", "/dashboard/traces/t/"])
@pytest.mark.parametrize(
    ("routes", "login_url", "leads_to"),
    [
        ([OURS, ADMIN, LOGIN], "/accounts/login/", "/accounts/login/"),
        ([OURS, ADMIN, LOGIN], "login", "/accounts/login/"),
        ([OURS, ADMIN], "/accounts/login/", "/admin/login/"),
        ([OURS, ADMIN], "https://sso.example.com/login", "https://sso.example.com/login"),
        ([OURS], "/accounts/login/", None),
    ],
    ids=["its own", "by name", "only the admin's", "elsewhere", "none"],
)
def test_who_is_not_logged_in_is_led_to_a_page_that_is_there(
    client: Client, settings: Settings, page: str, routes: list[object], login_url: str, leads_to: str | None
) -> None:
    """A new project's ``LOGIN_URL`` leads nowhere: then the admin's login serves, or 403 says what is missing."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["trace_streaming.permissions.IsOwnerOrMayViewTraces"]
    urls = ModuleType("urls")
    vars(urls)["urlpatterns"] = routes
    settings.ROOT_URLCONF = urls
    settings.LOGIN_URL = login_url
    response = client.get(page)
    if leads_to is None:
        assert response.status_code == 403
    else:
        assert response.status_code == 302
        assert response["Location"].startswith(f"{leads_to}?next={page}")
