"""The site's routes, and one that emits what it is sent."""

from __future__ import annotations

import json
import os

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from cuga_site.urls import urlpatterns as site_urlpatterns
from tests.live import ending
from trace_streaming import TraceEmitter


@csrf_exempt
def emit(request: HttpRequest, trace_id: str) -> JsonResponse:
    """Emit a list of [event, details, status], and wait until all are stored."""
    emitter = TraceEmitter(trace_id)
    for event, details, status in json.loads(request.body):
        emitter.emit(event, details, status)
    return JsonResponse({"stored": emitter.flush(30)})


@csrf_exempt
def emit_and_return(request: HttpRequest, trace_id: str, count: int, by: str) -> JsonResponse:
    """Emit, and wait for nothing, as a request does."""
    ending.emit(trace_id, count, by)
    return JsonResponse({"process": os.getpid()})


@csrf_exempt
def emit_large(request: HttpRequest, trace_id: str, count: int, size: int) -> JsonResponse:
    """Emit large events, and wait now and then, so that few of them are in the queue."""
    emitter = TraceEmitter(trace_id)
    stored = True
    for number in range(count):
        emitter.emit("tool_call_complete", {"result": "x" * size}, "success")
        emitter.events.clear()  # 200 MB of an agent's own memory, which are not what a server holds for its readers
        if number % 100 == 99:
            stored &= emitter.flush(30)
    return JsonResponse({"stored": emitter.flush(30) and stored})


urlpatterns = [
    path("emit-large/<str:trace_id>/<int:count>/<int:size>", emit_large),
    path("emit/<str:trace_id>", emit),
    path("emit-and-return/<str:trace_id>/<int:count>/<str:by>", emit_and_return),
    *site_urlpatterns,
]
