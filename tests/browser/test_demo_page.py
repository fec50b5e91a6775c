"""The demonstration's pages in a real browser, against a real server."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page, Route, WebSocket, expect

from .conftest import Site

RECORDINGS = Path(__file__).resolve().parents[2] / "cuga_site" / "recordings"
RUN = (RECORDINGS / "swe-agent-ctf-katy.jsonl").read_bytes().splitlines()
HOSTILE = (
    '<img src=x onerror="window.hacked = 1">',
    "</script><script>window.hacked = 1</script>",
    "</pre></li></ol><h2>",
    "&lt;b&gt; \u202e \u0000 ${window.hacked = 1}",
)
LOST_CONNECTION = r"WebSocket connection to 'ws://127\.0\.0\.1:\d+/.*' failed|net::ERR_CONNECTION_REFUSED"
POLICY = "default-src 'self'; connect-src 'self' ws:"
PATIENCE_MS = 30_000
"""For what takes a server's start, or a reconnect after several attempts."""


async def shown_sequences(page: Page) -> list[int]:
    """The numbers of the events on the page, from top to bottom."""
    rows = page.locator("#events > li[data-sequence]")
    numbers: list[str] = await rows.evaluate_all("rows => rows.map(row => row.dataset.sequence)")
    return [int(number) for number in numbers]


async def expect_events(page: Page, count: int) -> None:
    """Wait until the page has so many events, and check that they are these, each once and in order."""
    await expect(page.locator("#tally")).to_contain_text(f"{count} event", timeout=PATIENCE_MS)
    assert await shown_sequences(page) == list(range(1, count + 1))


async def expect_state(page: Page, text: str) -> None:
    """Wait until the page calls its connection that."""
    await expect(page.locator("#connection")).to_have_text(text, timeout=PATIENCE_MS)


def write_lines(path: Path, events: list[dict[str, Any]]) -> Path:
    """A recording of these events."""
    path.write_text("\n".join(json.dumps(event) for event in events))
    return path


async def test_a_finished_trace_is_shown_completely_once_and_in_order(site: Site, page: Page, recording: Path) -> None:
    """Number, name, status and tool of every row are those of the recording."""
    recorded = [json.loads(line) for line in recording.read_bytes().splitlines()]
    await site.play(recording, "finished")

    await page.goto(site.url("/traces/finished"))
    await expect_state(page, "Ended: error" if "error" in [event["status"] for event in recorded] else "Ended: success")

    await expect_events(page, len(recorded))
    rows = page.locator("#events > li")
    for column, expected in {
        ".event": [event["event"].replace("_", " ") for event in recorded],
        ".line > .state": [event["status"] for event in recorded],
        ".sequence": [str(number) for number, _ in enumerate(recorded, 1)],
    }.items():
        assert await rows.locator(column).all_text_contents() == expected
    tools = [event["details"].get("tool") or event["details"].get("tool_name") for event in recorded]
    assert await rows.locator(".tool").all_text_contents() == [tool for tool in tools if tool]


async def test_a_running_trace_is_shown_as_it_happens(site: Site, page: Page) -> None:
    """The page waits for a trace that has not begun; then every event is there before the next is emitted."""
    run = await site.begin_run("running")
    await page.goto(site.url("/traces/running"))
    await expect_state(page, "Live")
    await expect(page.get_by_text("Waiting for the first event.")).to_be_visible()

    for number, line in enumerate(RUN[:6], 1):
        await run.emit([line])
        await expect_events(page, number)
    await expect(page.get_by_text("Waiting for the first event.")).to_be_hidden()
    await expect_state(page, "Live")

    await run.end()
    await expect_state(page, "Ended: success")
    assert await shown_sequences(page) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("opened", ["before its first event", "in its middle"])
async def test_a_killed_and_restarted_server_costs_the_page_no_event(
    site: Site, page: Page, tolerated: list[str], opened: Literal["before its first event", "in its middle"]
) -> None:
    """Events that were emitted before, during and after the outage are each there once."""
    tolerated.append(LOST_CONNECTION)
    run = await site.begin_run("interrupted")
    if opened == "in its middle":
        await run.emit(RUN[:5])
        await page.goto(site.url("/"))
        await page.get_by_role("link", name="interrupted").click(timeout=PATIENCE_MS)
    else:
        await page.goto(site.url("/traces/interrupted"))
    await expect_state(page, "Live")
    await run.emit(RUN[5:20] if opened == "in its middle" else RUN[:20])
    await expect_events(page, 20)

    await site.kill()
    await expect_state(page, "Connection lost, reconnecting")
    await run.emit(RUN[20:30])
    assert await shown_sequences(page) == list(range(1, 21))

    await site.start()
    await expect_state(page, "Live")
    await expect_events(page, 30)
    await run.emit(RUN[30:])
    await run.end()
    await expect_state(page, "Ended: success")
    await expect_events(page, len(RUN))


async def test_a_refused_page_says_why_and_does_not_come_back(site: Site, page: Page, tolerated: list[str]) -> None:
    """After a close code of 4400 to 4499 there is no further attempt."""
    tolerated.append(LOST_CONNECTION)
    sockets: list[WebSocket] = []

    def note(opened: WebSocket) -> None:
        sockets.append(opened)

    page.on("websocket", note)
    await page.clock.install()
    await page.goto(site.url("/traces/closed"))
    await expect_state(page, "Live")

    await site.kill()
    # Without DJANGO_DEBUG the site is closed to those who have not logged in.
    await site.start(DJANGO_DEBUG="0", DJANGO_SECRET_KEY="k" * 50, DJANGO_ALLOWED_HOSTS="127.0.0.1")
    await expect_state(page, "Disconnected")

    await expect(page.get_by_role("alert")).to_have_text("Log in to watch this trace")
    attempts = len(sockets)
    await page.clock.fast_forward("10:00")
    await expect_state(page, "Disconnected")
    assert len(sockets) == attempts


async def test_hostile_content_is_shown_as_text(site: Site, page: Page, tmp_path: Path) -> None:
    """Markup in tool names, keys and values is neither parsed nor run, folded or unfolded."""
    details = [{"tool": text, text: text, "nested": {text: [text]}} for text in HOSTILE]
    events = [{"event": "tool_call_start", "trace_id": "h", "details": detail} for detail in details]
    await site.play(write_lines(tmp_path / "hostile.jsonl", events), "hostile")

    await page.goto(site.url("/traces/hostile"))
    await expect_events(page, len(HOSTILE))
    for number, text in enumerate(HOSTILE):
        row = page.locator("#events > li").nth(number)
        await row.locator("summary").click()
        shown = text.replace("\0", "\ufffd")
        assert await row.locator(".tool").text_content() == shown
        assert await row.locator(".preview .key").first.text_content() == text
        await expect(row.locator("dt")).to_have_count(3)  # built when the row says that it is open, a moment later
        assert await row.locator("dt").all_text_contents() == ["tool", text, "nested"]
        assert (await row.locator("dd").all_text_contents())[:2] == [text, text]
    assert await page.locator("#events").locator("img, script, h2, b").count() == 0
    assert await page.evaluate("window.hacked") is None


async def test_a_long_trace_arrives_completely_because_it_is_acknowledged(
    site: Site, page: Page, tmp_path: Path
) -> None:
    """Several times the bytes that the server leaves unacknowledged."""
    details = {"tool": "search", "result": "x" * 1000}
    events = [{"event": "tool_call_complete", "trace_id": "l", "details": details, "status": "success"}] * 3000
    await site.play(write_lines(tmp_path / "long.jsonl", events), "long")

    await page.goto(site.url("/traces/long"))

    await expect_state(page, "Ended: success")
    await expect_events(page, 3000)


async def test_missing_history_is_named(site: Site, page: Page) -> None:
    """Where events were pruned, the page says which."""
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "pruned")
    await site.manage(
        "shell", "-c", "from trace_streaming.models import Event; Event.objects.filter(sequence__lte=7).delete()"
    )

    await page.goto(site.url("/traces/pruned"))

    await expect_state(page, "Ended: success")
    await expect(page.locator("#events > li").first).to_have_text("Events 1 to 7 are no longer stored.")
    assert await shown_sequences(page) == list(range(8, len(RUN) + 1))


async def test_a_trace_that_began_again_is_shown_anew(site: Site, page: Page) -> None:
    """The events of a deleted trace make way for those of its successor, and the page says so."""
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "again")
    await page.goto(site.url("/traces/again"))
    await expect_events(page, len(RUN))

    await site.manage("shell", "-c", "from trace_streaming.models import Trace; Trace.objects.all().delete()")
    await site.play(RECORDINGS / "swe-agent-marshmallow-1867.jsonl", "again")

    await expect(page.get_by_text("The trace was deleted.")).to_be_visible(timeout=PATIENCE_MS)
    await expect_events(page, 34)
    await expect_state(page, "Ended: success")


async def test_an_event_opens_with_the_keyboard(site: Site, page: Page) -> None:
    """Folded, an event shows the beginning of its details; unfolded, all of them with their line breaks."""
    await site.play(RECORDINGS / "swe-agent-marshmallow-1867.jsonl", "keyboard")
    await page.goto(site.url("/traces/keyboard"))
    await expect_state(page, "Ended: success")
    last = page.locator("#events > li").last

    await last.locator("summary").focus()
    await page.keyboard.press("Enter")

    await expect(last.locator("pre").last).to_contain_text("diff --git")
    expected = json.loads((RECORDINGS / "swe-agent-marshmallow-1867.jsonl").read_bytes().splitlines()[-1])["details"]
    assert await last.locator("dt").all_text_contents() == list(expected)
    assert await last.locator("pre").last.text_content() == expected["result"]


async def test_the_newest_event_stays_in_view_until_somebody_reads(site: Site, page: Page) -> None:
    """A running trace scrolls along, stands still after scrolling up, and goes on at a press of the button."""
    follow = page.get_by_role("button", name="Follow new events")
    run = await site.begin_run("followed")
    await page.goto(site.url("/traces/followed"))
    await expect_state(page, "Live")
    await run.emit(RUN[:40])
    await expect_events(page, 40)
    await expect(page.locator("#events > li").last).to_be_in_viewport()
    await expect(follow).to_be_hidden()

    await page.mouse.move(600, 400)
    await page.mouse.wheel(0, -600)
    await expect(follow).to_be_visible()
    await run.emit(RUN[40:50])
    await expect_events(page, 50)
    await expect(page.locator("#events > li").last).not_to_be_in_viewport()

    await follow.click()
    await expect(page.locator("#events > li").last).to_be_in_viewport()
    await run.emit(RUN[50:])
    await expect_events(page, len(RUN))
    await expect(page.locator("#events > li").last).to_be_in_viewport()
    await run.end()


async def test_the_list_gets_new_traces_without_a_reload_and_links_to_them(site: Site, page: Page) -> None:
    """New traces come first, running ones are counted on, and the focus stays where it was."""
    run = await site.begin_run("first")
    await page.goto(site.url("/"))
    await expect(page.get_by_text("Nothing has been emitted yet.")).to_be_visible()
    await page.evaluate("window.loadedOnce = true")

    await run.emit(RUN[:3])
    first = page.get_by_role("row").filter(has_text="first")
    await expect(first).to_contain_text("running", timeout=PATIENCE_MS)
    await expect(page.get_by_text("Nothing has been emitted yet.")).to_be_hidden()
    await first.get_by_role("link").focus()
    await site.play(RECORDINGS / "cuga-orchestrator.jsonl", "second")
    await run.emit(RUN[3:5])
    await run.end()

    await expect(first).to_contain_text("success", timeout=PATIENCE_MS)
    await expect(first.get_by_role("cell").nth(2)).to_have_text("5")
    await expect(page.locator("tbody a")).to_have_text(["second", "first"])
    await expect(first.get_by_role("link")).to_be_focused()
    assert await page.evaluate("window.loadedOnce") is True

    await page.keyboard.press("Enter")
    await expect(page).to_have_url(site.url("/traces/first"))
    await expect_events(page, 5)


async def test_the_list_says_when_the_server_is_away(site: Site, page: Page, tolerated: list[str]) -> None:
    """It does not pass old numbers off as current, and recovers by itself."""
    tolerated.append(LOST_CONNECTION)
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "listed")
    await page.goto(site.url("/"))
    status = page.get_by_role("status")
    await expect(status).to_have_text("Live")

    await site.kill()
    await expect(status).to_have_text("The server does not answer, trying again", timeout=PATIENCE_MS)
    await expect(page.get_by_role("link", name="listed")).to_be_visible()

    await site.start()
    await expect(status).to_have_text("Live", timeout=PATIENCE_MS)


async def test_the_pages_work_under_a_strict_content_security_policy(
    site: Site, page: Page, tolerated: list[str]
) -> None:
    """Nothing inline, nothing from elsewhere; the last step shows that the policy was in force."""
    await page.add_init_script(
        "window.violations = [];"
        "addEventListener('securitypolicyviolation', (event) => violations.push(event.effectiveDirective))"
    )
    await page.route(re.compile(r"/(traces/.*)?$"), _with_policy)
    await site.play(RECORDINGS / "cuga-orchestrator.jsonl", "strict")

    await page.goto(site.url("/"))
    await expect(page.locator("time").first).to_contain_text(re.compile(r"^\d+s ago$"))  # what the script has written
    assert await page.evaluate("violations") == []

    await page.get_by_role("link", name="strict").click()
    await expect_events(page, 296)
    await page.locator("summary").first.click()
    await expect(page.locator("dl.full").first).to_be_visible()
    assert await page.evaluate("violations") == []

    tolerated.append("Content Security Policy")
    await page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: '1'}))")
    await page.wait_for_function("violations.includes('script-src-elem')")


async def _with_policy(route: Route) -> None:
    response = await route.fetch()
    await route.fulfill(response=response, headers={**response.headers, "content-security-policy": POLICY})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800, 360])
async def test_nothing_is_wider_than_the_window(
    site: Site, page: Page, width: int, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    """Neither a long trace id nor long words make the page scroll sideways; rows do not overlap."""
    trace_id, word = "w" * 128, "x" * 400
    details = {"tool": word, word: word, "duration_ms": 12345.6}
    events = [{"event": "tool_call_complete", "trace_id": "w", "details": details, "status": "warning"}] * 3
    await site.play(write_lines(tmp_path / "wide.jsonl", events), trace_id)
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=scheme)

    for path in ("/", f"/traces/{trace_id}"):
        await page.goto(site.url(path))
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await expect_events(page, 3)
    await page.locator("summary").first.click()
    await expect(page.locator("dl.full")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    rows: list[list[float]] = await page.locator("#events > li").evaluate_all(
        "rows => rows.map((row) => row.getBoundingClientRect()).map(({top, bottom}) => [top, bottom])"
    )
    assert all(above[1] <= below[0] for above, below in pairwise(rows))
