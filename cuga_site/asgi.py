"""HTTP to Django, WebSockets to the traces."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cuga_site.settings")
http = get_asgi_application()  # loads the apps, which the routes need

from trace_streaming.routing import lifespan, websocket_urlpatterns  # noqa: E402

sockets = URLRouter(websocket_urlpatterns)
application = ProtocolTypeRouter({"http": http, "websocket": sockets, "lifespan": lifespan})
