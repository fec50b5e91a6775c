"""The demonstration's two pages: the traces, and one trace as it happens."""

from __future__ import annotations

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from trace_streaming.events import TRACE_ID_PATTERN
from trace_streaming.models import Trace
from trace_streaming.permissions import may_watch


def trace_list(request: HttpRequest) -> HttpResponse:
    """The newest traces; the page asks the API for those that its user may watch."""
    return render(request, "cuga_site/trace_list.html")


def trace_page(request: HttpRequest, trace_id: str) -> HttpResponse:
    """One trace, live; it need not have begun."""
    if not TRACE_ID_PATTERN.fullmatch(trace_id):
        raise Http404("No trace id")
    trace = Trace.objects.filter(trace_id=trace_id).first() or Trace(trace_id=trace_id)
    if not may_watch(request, trace):
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.get_full_path())
    return render(request, "cuga_site/trace_page.html", {"trace_id": trace_id})
