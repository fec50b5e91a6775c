"""The site's routes, and one that emits what it is sent."""

from __future__ import annotations

import json

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from cuga_site.urls import urlpatterns as site_urlpatterns
from trace_streaming import TraceEmitter


@csrf_exempt
def emit(request: HttpRequest, trace_id: str) -> JsonResponse:
    """Emit a list of [event, details, status], and wait until all are stored."""
    emitter = TraceEmitter(trace_id)
    for event, details, status in json.loads(request.body):
        emitter.emit(event, details, status)
    return JsonResponse({"stored": emitter.flush(30)})


urlpatterns = [path("emit/<str:trace_id>", emit), *site_urlpatterns]
