"""``POST /v1/traces``: OTLP over HTTP, in protobuf or JSON; who asks in one is answered in it.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from django.http import HttpResponse
from rest_framework.exceptions import NotAuthenticated, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from trace_streaming.access.bodies import read_bounded
from trace_streaming.access.views import DoorView
from trace_streaming.permissions import is_active, watch_permissions

from . import json_bodies, protobuf
from .endings import endings
from .receiving import receive
from .requests import MAX_BYTES, unpacked
from .turns import own_turn

_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 411: 3, 413: 8, 415: 3, 429: 8, 503: 14}
"""Codes of ``google.rpc.Status`` by those of HTTP; another is ``UNKNOWN``."""
_UNKNOWN: Final = 2


class _Renderer(BaseRenderer):
    """What went wrong, as OTLP says it."""

    charset = None
    render_style = "binary"
    encoding: ModuleType

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """As bytes."""
        message = str(data.get("detail", data)) if isinstance(data, dict) else str(data)
        failure: bytes = self.encoding.failure(_CODES.get(renderer_context["response"].status_code, _UNKNOWN), message)
        return failure


class ProtobufRenderer(_Renderer):
    """To who has asked in protobuf."""

    media_type = "application/x-protobuf"
    format = "protobuf"
    encoding = protobuf


class OtlpJSONRenderer(_Renderer):
    """To all others."""

    media_type = "application/json"
    format = "json"
    encoding = json_bodies


class _ByRequest(BaseContentNegotiation):
    """The answer is encoded as the request is, whatever is said to be accepted."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """The view reads the body itself."""
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """By the type of what is sent."""
        kind = media_type_of(request)
        renderer = next((each for each in renderers if each.media_type == kind), renderers[-1])
        return renderer, renderer.media_type


class SpansView(DoorView):
    """Spans of agents."""

    content_negotiation_class: Any = _ByRequest
    renderer_classes = (ProtobufRenderer, OtlpJSONRenderer)
    has_pages = False

    def get_permissions(self) -> list[BasePermission]:
        """As at every door; whether a trace may be added to is asked of each."""
        return watch_permissions()

    def body_limit(self) -> int:
        """As it comes."""
        return MAX_BYTES

    def post(self, request: Request) -> HttpResponse:
        """Store the spans; the answer comes when they are stored."""
        if not is_active(request.user):
            raise NotAuthenticated
        encoding = {"application/x-protobuf": protobuf, "application/json": json_bodies}.get(media_type_of(request))
        if encoding is None:
            raise UnsupportedMediaType(media_type_of(request))
        body = read_bounded(request._request, MAX_BYTES)
        match request.headers.get("Content-Encoding", "").lower():
            case "gzip" | "x-gzip":
                body = unpacked(body)
            case "" | "identity":
                pass
            case other:
                raise UnsupportedMediaType(other, detail=f"Content-Encoding {other:.40} is not known; gzip is")
        endings.start()
        # Not REST framework's: an answer in protobuf that has nothing to say is empty, and has its type all the same.
        with own_turn():
            sent = encoding.read(body)
        return HttpResponse(encoding.answer(receive(request, sent)), media_type_of(request))


def media_type_of(request: Request) -> str:
    """The type of its body, without parameters."""
    return (request._request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
