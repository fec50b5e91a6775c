"""HTTP to Django, WebSockets to the traces."""

import gc
import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cuga_site.settings")
http = get_asgi_application()  # loads the apps, which the routes need

from trace_streaming.routing import lifespan, websocket_urlpatterns  # noqa: E402

sockets = URLRouter(websocket_urlpatterns)
application = ProtocolTypeRouter({"http": http, "websocket": sockets, "lifespan": lifespan})

# Python would walk through all that is loaded, and through each event under way, again and again, to look for garbage.
gc.collect()
gc.freeze()
gc.set_threshold(2_000, 10, 100)
