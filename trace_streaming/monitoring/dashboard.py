"""The app's pages: the traces, what their agents ask, the signals of all of them, and one trace.

What they show comes from the REST API.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse
from django.views.decorators.cache import cache_control

from trace_streaming.access.views import without_transaction
from trace_streaming.events import TRACE_ID_PATTERN
from trace_streaming.permissions import find_trace, may_see_signals, may_watch
from trace_streaming.storage.owners import with_owner

_page = cache_control(private=True, no_store=True)


@_page
@without_transaction
def dashboard(request: HttpRequest) -> HttpResponse:
    """For all whom the API gives signals: of all traces, or of their own."""
    if not may_see_signals(request):
        return _refused(request)
    return render(request, "trace_streaming/dashboard_page.html", _context(request, here="dashboard"))


@_page
@without_transaction
def dashboard_traces(request: HttpRequest) -> HttpResponse:
    """The traces that somebody may watch, live; for all whom the API gives signals."""
    if not may_see_signals(request):
        return _refused(request)
    return render(request, "trace_streaming/traces_page.html", _context(request, here="traces"))


@_page
@without_transaction
def dashboard_approvals(request: HttpRequest) -> HttpResponse:
    """What agents ask, to be decided here; for all whom the API gives signals."""
    if not may_see_signals(request):
        return _refused(request)
    header = settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-")
    return render(
        request, "trace_streaming/approvals_page.html", _context(request, here="approvals", csrf_header=header)
    )


@_page
@without_transaction
def dashboard_trace(request: HttpRequest, trace_id: str) -> HttpResponse:
    """One trace, live, for those who may watch it."""
    if not TRACE_ID_PATTERN.fullmatch(trace_id):
        raise Http404("No trace id")
    trace = find_trace(trace_id)
    if not may_watch(request, trace):
        return _refused(request)
    context = _context(request, trace_id=trace_id, trace=with_owner(trace))
    return render(request, "trace_streaming/trace_page.html", context)


def _context(request: HttpRequest, **more: Any) -> dict[str, Any]:
    is_for_admin = not request.user.is_authenticated or getattr(request.user, "is_staff", False)
    return {
        "nonce": getattr(request, "csp_nonce", ""),
        "admin_url": _admin("index") if is_for_admin else None,
        **more,
    }


def _refused(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        raise PermissionDenied
    for login in (resolve_url(settings.LOGIN_URL), _admin("login")):
        if login is not None and _leads_somewhere(login):
            return redirect_to_login(request.get_full_path(), login)
    raise PermissionDenied("Log in first; this project has no page for it: set LOGIN_URL")


def _admin(name: str) -> str | None:
    try:
        return reverse(f"admin:{name}")
    except NoReverseMatch:
        return None


def _leads_somewhere(url: str) -> bool:
    """Whether a login page is there: a new project's ``LOGIN_URL`` is not. What is elsewhere is believed."""
    path = urlsplit(url)
    if path.netloc:
        return True
    try:
        resolve(path.path.removeprefix(get_script_prefix().rstrip("/")))
    except Resolver404:
        return False
    return True
