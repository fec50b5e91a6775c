"""The asynchronous consumer of the Channels tutorial. It stores nothing.

https://channels.readthedocs.io/en/stable/tutorial/part_3.html
``CHANNEL_LAYER`` names the backend, ``REDIS_URL`` its server.
"""

from __future__ import annotations

import json
import os
from typing import Any

from django.conf import settings

backend = os.environ.get("CHANNEL_LAYER", "channels.layers.InMemoryChannelLayer")
config = {"hosts": [os.environ["REDIS_URL"]]} if "redis" in backend else {}
settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": backend, "CONFIG": config}},
)

import django  # noqa: E402

django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import re_path  # noqa: E402

from bench.peers import Order, answer, collect_seldom, event_text  # noqa: E402


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """As in the tutorial."""

    async def connect(self) -> None:
        self.room_group_name = f"chat_{self.scope['path'].rpartition('/')[2]}"
        await self.channel_layer.group_add(self.room_group_name, self.channel_name)
        await self.accept()

    async def disconnect(self, close_code: int) -> None:
        await self.channel_layer.group_discard(self.room_group_name, self.channel_name)

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps({"message": event["message"]}))


async def emit(scope: Any, receive: Any, send: Any) -> None:
    order = Order(scope["query_string"].decode())
    layer = get_channel_layer()
    async for number in order.numbers():
        for trace in order.traces:
            message = json.loads(event_text(number, order.size, trace))
            await layer.group_send(f"chat_{trace}", {"type": "chat.message", "message": message})
    await answer(send)


application = ProtocolTypeRouter({"http": emit, "websocket": URLRouter([re_path(r"", ChatConsumer.as_asgi())])})
collect_seldom()
