"""Pages of other origins in a real Chromium, with their visitor's cookies (cross-site WebSocket hijacking)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.browser.conftest import IN_A_BROWSER
from tests.live.servers import KINDS
from tests.security.conftest import Closed

pytestmark = IN_A_BROWSER
WATCH = """([url, protocols]) => new Promise((resolve) => {
  const socket = new WebSocket(url, protocols), frames = [];
  socket.onmessage = (message) => {
    frames.push(JSON.parse(message.data));
    if (frames[0].event === "connected" || frames[0].type === "connected") resolve({ frames, code: null });
  };
  socket.onclose = (close) => resolve({ frames, code: close.code });
})"""
TICKET = """async () => {
  const csrf = document.cookie.match(/csrftoken=([^;]+)/)[1];
  const options = { method: "POST", headers: { "X-CSRFToken": csrf } };
  const response = await fetch("/api/traces/secret/ticket", options);
  return (await response.json()).ticket;
}"""


@asynccontextmanager
async def page_of(browser: Browser, closed: Closed, host: str, port: int) -> AsyncIterator[Page]:
    """A page that somebody serves on this port, visited by a browser that is logged in to the site."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<title>page</title>")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    context = await browser.new_context()
    key = closed.people["ada"]["session"]
    cookie: Any = {"name": "sessionid", "value": key, "domain": "127.0.0.1", "path": "/", "sameSite": "Lax"}
    await context.add_cookies([cookie])
    try:
        page = await context.new_page()
        await page.goto(f"http://{host}:{server.sockets[0].getsockname()[1]}/")
        yield page
    finally:
        await context.close()
        server.close()
        await server.wait_closed()


def url(closed: Closed, kind: str) -> str:
    return f"ws://127.0.0.1:{closed.servers[kind].port}/ws/traces/secret"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocols", [[], ["trace-stream.v1"]])
async def test_a_page_on_another_port_cannot_use_the_visitors_cookie(
    browser: Browser, closed: Closed, kind: str, protocols: list[str]
) -> None:
    """To browsers another port is the same site, so the cookie is sent; the next test shows that it is."""
    async with page_of(browser, closed, "127.0.0.1", 0) as page:
        got = await page.evaluate(WATCH, [url(closed, kind), protocols])
    error = got["frames"][0] if protocols else got["frames"][0]["details"]
    assert (got["code"], len(got["frames"])) == (4403, 1)
    assert error["message"].startswith("Pages of this origin may not use your cookies here")


@pytest.mark.parametrize("kind", KINDS)
async def test_an_allowed_page_can(browser: Browser, closed: Closed, kind: str) -> None:
    """The same page, from an origin that is listed."""
    async with page_of(browser, closed, "127.0.0.1", closed.allowed_port) as page:
        got = await page.evaluate(WATCH, [url(closed, kind), ["trace-stream.v1"]])
    assert (got["frames"][0]["type"], got["code"]) == ("connected", None)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_page_of_another_site_cannot(browser: Browser, closed: Closed, kind: str) -> None:
    """The browser itself keeps the cookie; the origin is refused all the same."""
    async with page_of(browser, closed, "localhost", 0) as page:
        got = await page.evaluate(WATCH, [url(closed, kind), []])
    assert got["code"] == 4403


@pytest.mark.parametrize("kind", KINDS)
async def test_a_ticket_as_the_documentation_shows_it(browser: Browser, closed: Closed, kind: str) -> None:
    """Asked for by the site's own page, and used without any cookie; a second time it is of no use."""
    server = closed.servers[kind]
    async with page_of(browser, closed, "127.0.0.1", 0) as page:
        await page.goto(f"http://127.0.0.1:{server.port}/admin/login/")  # any page of the site that sets csrftoken
        ticket = await page.evaluate(TICKET)
        closed.shown.add(ticket)
        await page.context.clear_cookies()
        offered = ["trace-stream.v1", f"ticket.{ticket}"]
        first, second = [await page.evaluate(WATCH, [url(closed, kind), offered]) for _ in range(2)]
    assert first["frames"][0]["type"] == "connected"
    assert second["code"] == 4401
