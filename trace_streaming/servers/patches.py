"""daphne and uvicorn are changed where they are loaded (:mod:`.changes`), unless the project wants them as they are."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from trace_streaming.conf import conf

from . import changes

logger = logging.getLogger(__name__)

_OTHER_UVICORN_PROTOCOLS: Final = (("websockets_impl", "WebSocketProtocol"), ("wsproto_impl", "WSProtocol"))
"""``--ws websockets`` and ``--ws wsproto``."""


def install() -> None:
    """Change the servers whose modules are loaded, once. Called when the app is set up, before anything is served.

    A server that has no longer what is changed is left as it is, with a warning; so are all of them, where
    ``TRACE_STREAMING_PATCH_SERVERS`` is False.
    """
    if not conf.PATCH_SERVERS:
        return
    for name, needed in {"daphne": _of_daphne(), "uvicorn": _of_uvicorn()}.items():
        try:
            changed = [(owner, method, change(getattr(owner, method))) for owner, method, change in needed]
        except AttributeError as error:
            logger.warning("%s is served by itself: it is not as it was (%s)", name, error)
            continue
        for owner, method, new in changed:
            if not hasattr(getattr(owner, method), "__wrapped__"):
                setattr(owner, method, new)


Change = tuple[Any, str, Callable[[Any], Any]]
"""A class, the name of its method, and what makes another of it."""


def _of_daphne() -> Iterator[Change]:
    if (daphne := sys.modules.get("daphne.server")) is None:
        return
    yield daphne.WebSocketFactory, "__init__", changes.with_options
    yield daphne.Server, "create_application", changes.with_daphne_wire
    yield daphne.Server, "kill_all_applications", changes.after_closing


def _of_uvicorn() -> Iterator[Change]:
    if (uvicorn := sys.modules.get("uvicorn.server")) is None:
        return
    yield uvicorn.Server, "shutdown", changes.between_closing_and_ending
    for name in ("h11_impl", "httptools_impl"):
        with suppress(ImportError):
            protocol = importlib.import_module(f"uvicorn.protocols.http.{name}")
            yield protocol.RequestResponseCycle, "run_asgi", changes.with_uvicorn_gate
    with suppress(ImportError):  # without websockets: uvicorn serves none, or with another library
        protocol = importlib.import_module("uvicorn.protocols.websockets.websockets_sansio_impl")
        yield protocol.WebSocketsSansIOProtocol, "run_asgi", changes.with_uvicorn_wire
    for module, name in _OTHER_UVICORN_PROTOCOLS:
        if (protocols := sys.modules.get(f"uvicorn.protocols.websockets.{module}")) is not None:
            yield getattr(protocols, name), "run_asgi", changes.without_ticket
