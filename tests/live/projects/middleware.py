"""A middleware as projects have had them for ten years."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin


class Plain(MiddlewareMixin):
    """It is called in a thread, and marks what it has seen."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response["X-Seen"] = "1"
        return response
