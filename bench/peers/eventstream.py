"""django-eventstream: server-sent events for Django, in one process. It stores nothing, unless it is told to.

https://github.com/fanout/django-eventstream#setup-channels
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django_eventstream"],
    ROOT_URLCONF="bench.peers.eventstream",
)

import django  # noqa: E402

django.setup()

import django_eventstream  # noqa: E402
from asgiref.sync import sync_to_async  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402

from bench.peers import Order, answer, collect_seldom, event_text  # noqa: E402

urlpatterns = [path("ws/traces/<trace>", include(django_eventstream.urls), {"format-channels": ["{trace}"]})]
site = get_asgi_application()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """The site, and ``/emit``."""
    if scope["type"] == "http" and scope["path"] == "/emit":
        order = Order(scope["query_string"].decode())
        async for number in order.numbers():
            for trace in order.traces:
                await sync_to_async(django_eventstream.send_event)(
                    trace, "message", event_text(number, order.size, trace), json_encode=False
                )
        await answer(send)
    else:
        await site(scope, receive, send)


collect_seldom()
