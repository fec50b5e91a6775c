"""What the demonstration's responses say beside their content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


@sync_and_async_middleware
def content_security_policy(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Nothing inline and nothing from elsewhere, on every page.

    Asynchronous under ASGI: a thread that waits for the event loop would keep a server that ends from ending.
    """

    def with_policy(response: HttpResponse) -> HttpResponse:
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    if iscoroutinefunction(get_response):

        async def middleware(request: HttpRequest) -> HttpResponse:
            return with_policy(await get_response(request))

        return middleware
    return lambda request: with_policy(get_response(request))
