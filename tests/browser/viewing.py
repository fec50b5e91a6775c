"""The viewer as a test sees it. Playwright's selectors look into its shadow tree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, expect

RECORDINGS = Path(__file__).resolve().parents[2] / "cuga_site" / "recordings"
RUN = (RECORDINGS / "swe-agent-ctf-katy.jsonl").read_bytes().splitlines()
"""55 events: a plan, and 18 times a route, a call and its end."""
LOST_CONNECTION = (
    r"WebSocket connection to 'ws://127\.0\.0\.1:\d+/.*' failed"
    r"|net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE)"
)
PATIENCE_MS = 60_000
"""For what takes a server's start, or a reconnect after several attempts."""


async def received(page: Page) -> list[dict[str, Any]]:
    """Every event that the viewer was given, in order."""
    events: list[dict[str, Any]] = await page.evaluate("document.querySelector('trace-viewer').events")
    return events


async def expect_events(page: Page, count: int) -> None:
    """Wait until the viewer counts so many events, and check that they are these, each once and in order."""
    noun = "event" if count == 1 else "events"
    await expect(page.locator(".fact-events")).to_have_text(f"{count:,} {noun}", timeout=PATIENCE_MS)
    assert [event["sequence"] for event in await received(page)] == list(range(1, count + 1))


async def expect_state(page: Page, text: str) -> None:
    """Wait until the viewer calls its connection, or the trace, that."""
    await expect(page.locator(".state")).to_have_text(text, timeout=PATIENCE_MS)


def rows(page: Page) -> Locator:
    """The rows that are in the document: those in view, and some more."""
    return page.locator(".rows > .row:visible")


def row(page: Page, sequence: int) -> Locator:
    """The row of an event, while it is in the document."""
    return page.locator(f'.rows > .row[data-sequences~="{sequence}"]:visible')


async def open_event(page: Page, sequence: int) -> Locator:
    """Select an event as the page's own script would; the details panel."""
    await page.evaluate("number => { document.querySelector('trace-viewer').selected = number }", sequence)
    panel = page.locator(".panel")
    await expect(panel.get_by_text(f"#{sequence}", exact=True)).to_be_visible()
    return panel


def write_lines(path: Path, events: Sequence[dict[str, Any]]) -> Path:
    """A recording of these events."""
    path.write_text("\n".join(json.dumps(event) for event in events))
    return path


def made(event: str, status: str = "pending", **details: Any) -> dict[str, Any]:
    """An event of a recording."""
    return {"event": event, "trace_id": "made", "details": details, "status": status}


def lines(*events: dict[str, Any]) -> list[bytes]:
    """As a run emits them."""
    return [json.dumps(event).encode() for event in events]
