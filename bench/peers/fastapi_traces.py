"""FastAPI's example again, as whoever knows traces writes it: a registry of sockets by trace. It stores nothing.

https://fastapi.tiangolo.com/advanced/websockets/#handling-disconnections-and-multiple-clients
"""

from __future__ import annotations

from collections import defaultdict

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

from bench.peers import Order, collect_seldom, event_text

app = FastAPI()


class ConnectionManager:
    """As in the documentation, with a list for each trace."""

    def __init__(self) -> None:
        self.active_connections: defaultdict[str, list[WebSocket]] = defaultdict(list)

    async def connect(self, trace: str, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections[trace].append(websocket)

    def disconnect(self, trace: str, websocket: WebSocket) -> None:
        self.active_connections[trace].remove(websocket)

    async def broadcast(self, trace: str, message: str) -> None:
        for connection in self.active_connections[trace]:
            await connection.send_text(message)


manager = ConnectionManager()


@app.get("/emit")
async def emit(request: Request) -> str:
    order = Order(request.url.query)
    async for number in order.numbers():
        for trace in order.traces:
            await manager.broadcast(trace, event_text(number, order.size, trace))
    return "ok"


@app.websocket("/ws/traces/{trace}")
async def endpoint(websocket: WebSocket, trace: str) -> None:
    await manager.connect(trace, websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        manager.disconnect(trace, websocket)


collect_seldom()
