"""daphne with all that the app wants of it, where its own classes are to stay as they are.

``python -m trace_streaming.servers.daphne mysite.asgi:application`` takes daphne's own options.
"""

from __future__ import annotations

from typing import Any

import daphne.cli
import daphne.server

from . import changes


class Server(daphne.server.Server):  # type: ignore[misc]
    """Leads from scopes to their transports, compresses, and tells clients to come back before it ends."""

    create_application = changes.with_daphne_wire(daphne.server.Server.create_application)
    kill_all_applications = changes.after_closing(daphne.server.Server.kill_all_applications)

    @property
    def ws_factory(self) -> Any:
        """Of its sockets, with our options."""
        return self._ws_factory

    @ws_factory.setter
    def ws_factory(self, factory: Any) -> None:
        factory.setProtocolOptions(**changes.FACTORY_OPTIONS)
        self._ws_factory = factory


class CommandLineInterface(daphne.cli.CommandLineInterface):  # type: ignore[misc]
    """daphne's, with this server."""

    server_class = Server


if __name__ == "__main__":
    CommandLineInterface.entrypoint()
