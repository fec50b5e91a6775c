"""``TraceStream`` in a real browser, against a real server that is killed again and again."""

from __future__ import annotations

import asyncio
import random

import pytest
from playwright.async_api import Page

from .conftest import IN_A_BROWSER, Site
from .viewing import LOST_CONNECTION, PATIENCE_MS, RUN, lines, made

pytestmark = IN_A_BROWSER

RESTARTS = 10
WATCH = """async (url) => {
  const { TraceStream } = await import("/static/trace_streaming/trace-stream.js");
  const stream = new TraceStream(url, { since: 0 });
  Object.assign(window, { stream, seen: [], gaps: [], connections: 0 });
  stream.addEventListener("events", ({ detail }) => seen.push(...detail.map((event) => event.details.number)));
  stream.addEventListener("gap", ({ detail }) => gaps.push(detail));
  stream.addEventListener("connected", () => (connections += 1));
}"""


async def until(page: Page, condition: str) -> None:
    """Wait for a condition in the page, whose policy forbids what Playwright's own wait does."""
    look = f"new Promise((done) => {{ const look = () => ({condition} ? done() : setTimeout(look, 20)); look(); }})"
    async with asyncio.timeout(PATIENCE_MS / 1000):
        await page.evaluate(look)


@pytest.mark.takes(seconds=40)
async def test_ten_restarts_of_the_server_cost_no_event_and_repeat_none(
    site: Site, page: Page, tolerated: list[str]
) -> None:
    """A run emits all the time, from before its trace is known, while the server is killed and started ten times."""
    tolerated.append(LOST_CONNECTION)
    rng = random.Random(7)
    run = await site.begin_run("faults")
    await page.goto(site.url("/"))
    await page.evaluate(WATCH, "/ws/traces/faults")
    emitted = 0

    async def emit(count: int) -> None:
        nonlocal emitted
        await run.emit(lines(*(made("plan_created", number=emitted + index) for index in range(1, count + 1))))
        emitted += count

    async def emit_all_along(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await emit(rng.randint(1, 20))
            await asyncio.sleep(0.02)

    stop = asyncio.Event()
    emitting = asyncio.create_task(emit_all_along(stop))
    for restart in range(RESTARTS):
        await until(page, f"connections > {restart} && stream.state === 'live'")
        await until(page, f"seen.length > {await page.evaluate('seen.length')}")
        await site.kill()
        await site.start()
    stop.set()
    await emitting
    await run.end()

    await until(page, "stream.state === 'ended'")
    assert await page.evaluate("seen") == list(range(1, emitted + 1))
    assert await page.evaluate("gaps") == []
    assert await page.evaluate("connections") == RESTARTS + 1
    assert emitted > RESTARTS * 20


async def test_a_socket_without_subprotocols_is_spoken_to_plainly(site: Site, page: Page) -> None:
    """As behind something that drops them: the same events, each once, over the profile that has no batches."""
    run = await site.begin_run("plain")
    await run.emit(RUN[:20])
    await page.add_init_script("window.WebSocket = class extends WebSocket { constructor(url) { super(url) } }")
    await page.goto(site.url("/"))
    await page.evaluate(WATCH.replace("event.details.number", "event.sequence"), "/ws/traces/plain")
    await until(page, "stream.state === 'live' && seen.length === 20")
    assert await page.evaluate("stream.profile") == "plain"
    await run.emit(RUN[20:])
    await run.end()
    await until(page, f"seen.length === {len(RUN)}")
    assert await page.evaluate("seen") == list(range(1, len(RUN) + 1))


async def test_the_iterator_ends_with_the_trace(site: Site, page: Page) -> None:
    """``for await`` sees every event, and closes the connection."""
    run = await site.begin_run("iterated")
    await run.emit(RUN)
    await run.end()
    await page.goto(site.url("/"))
    sequences = await page.evaluate(
        """async (url) => {
          const { TraceStream } = await import("/static/trace_streaming/trace-stream.js");
          const stream = new TraceStream(url, { since: 0 });
          const seen = [];
          for await (const event of stream) seen.push(event.sequence);
          return [...seen, stream.state];
        }""",
        "/ws/traces/iterated",
    )
    assert sequences == [*range(1, len(RUN) + 1), "closed"]
