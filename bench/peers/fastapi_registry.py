"""FastAPI's own example of several clients: a registry of sockets in the process. It stores nothing.

https://fastapi.tiangolo.com/advanced/websockets/#handling-disconnections-and-multiple-clients
"""

from __future__ import annotations

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

from bench.peers import Order, collect_seldom, event_text

app = FastAPI()


class ConnectionManager:
    """As in the documentation."""

    def __init__(self) -> None:
        self.active_connections: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        self.active_connections.remove(websocket)

    async def broadcast(self, message: str) -> None:
        for connection in self.active_connections:
            await connection.send_text(message)


manager = ConnectionManager()


@app.get("/emit")
async def emit(request: Request) -> str:
    order = Order(request.url.query)
    async for number in order.numbers():
        await manager.broadcast(event_text(number, order.size))
    return "ok"


@app.websocket("/{path:path}")
async def endpoint(websocket: WebSocket) -> None:
    await manager.connect(websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        manager.disconnect(websocket)


collect_seldom()
