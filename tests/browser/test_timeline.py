"""The timeline is worth its room, and what is looked for is found: waits, the border, the card, facets, keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from .conftest import IN_A_BROWSER, Site
from .test_approvals import asked
from .viewing import expect_events, made, open_event, row, rows, write_lines

pytestmark = IN_A_BROWSER
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def at(seconds: float, event: str, status: str = "success", **details: Any) -> dict[str, Any]:
    return {**made(event, status, **details), "timestamp": (NOON + timedelta(seconds=seconds)).isoformat()}


RUN = [
    at(0, "agent_start", "pending", name="writer", call_id="agent"),
    at(0, "step_start", "pending", name="prepare", kind="chain", call_id="step", parent_call_id="agent"),
    at(0, "tool_call_start", "pending", tool="bash", call_id="bash", parent_call_id="step", args={"command": "make"}),
    at(1, "tool_call_error", "error", tool="bash", call_id="bash", error='no rule "needle"', error_type="MakeError"),
    at(2, "step_complete", call_id="step", name="prepare"),
    at(2, "approval_requested", "pending", approval_id="a1", action="publish", parent_call_id="agent"),
    at(47, "approval_received", approval_id="a1", action="publish", decision="approved"),
    at(47, "tool_call_start", "pending", tool="publish", call_id="publish", parent_call_id="agent"),
    at(49, "tool_call_complete", tool="publish", call_id="publish", result="done"),
    at(49, "agent_complete", name="writer", call_id="agent", result="done"),
]


EMIT = """
import json
from datetime import datetime
from pathlib import Path
from trace_streaming import TraceEmitter
with TraceEmitter("run") as emitter:
    for line in Path({path!r}).read_text().splitlines():
        event = json.loads(line)
        at = datetime.fromisoformat(event["timestamp"])
        emitter.emit(event["event"], event["details"], event["status"], timestamp=at)
assert emitter.flush(60)
"""


async def shown(site: Site, page: Page, tmp_path: Path) -> None:
    """The run, with its own times."""
    path = write_lines(tmp_path / "run.jsonl", RUN)
    await site.manage("shell", "-c", EMIT.format(path=str(path)))
    await page.goto(site.url("/dashboard/traces/run"))
    await expect_events(page, len(RUN))


async def share(page: Page, sequence: int) -> float:
    """Of the timeline's room, what a row's bar has."""
    bar = await row(page, sequence).locator(".bar").bounding_box()
    lane = await row(page, sequence).locator(".lane").bounding_box()
    assert bar is not None
    assert lane is not None
    return bar["width"] / lane["width"]


async def test_a_wait_for_a_human_does_not_squeeze_work(site: Site, page: Page, tmp_path: Path) -> None:
    """45 seconds of it have a sliver, with a mark that says so, until a reader wants them in full."""
    await shown(site, page, tmp_path)
    assert await share(page, 6) < 0.1
    assert await share(page, 8) > 0.3
    await expect(page.locator(".break")).to_have_attribute("title", "Only waits, for 45 s")
    await page.get_by_role("button", name="Short waits").click()
    await expect(page.locator(".break:visible")).to_have_count(0)
    assert await share(page, 6) > 0.8


async def test_the_border_between_text_and_time_is_dragged_and_remembered(
    site: Site, page: Page, tmp_path: Path
) -> None:
    """By the pointer and by keys; a double click takes it back."""
    await shown(site, page, tmp_path)
    border = page.get_by_role("separator", name="Width of the timeline")

    async def width() -> float:
        box = await row(page, 8).locator(".lane").bounding_box()
        assert box is not None
        return box["width"]

    before = await width()
    box = await border.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 4, box["y"] + 8)
    await page.mouse.down()
    await page.mouse.move(box["x"] - 146, box["y"] + 8)
    await page.mouse.up()
    assert abs(await width() - before - 150) < 8
    await border.press("ArrowRight")
    assert abs(await width() - before - 110) < 8
    await page.reload()
    await expect_events(page, len(RUN))
    assert abs(await width() - before - 110) < 8
    await border.dblclick()
    assert abs(await width() - before) < 2


async def test_a_card_says_what_a_bar_stands_for(site: Site, page: Page, tmp_path: Path) -> None:
    """Its times, its own time, and its share of its parent's."""
    await shown(site, page, tmp_path)
    await row(page, 1).locator(".bar").hover(position={"x": 2, "y": 2})
    card = page.get_by_role("tooltip")
    await expect(card).to_contain_text("writer")
    await expect(card).to_contain_text("Own time0 ms")
    await row(page, 8).locator(".bar").hover()
    await expect(card).to_contain_text("publish")
    await expect(card).to_contain_text("Duration2 s")
    await expect(card).to_contain_text("Of its parent4 %")
    await page.mouse.move(5, 5)
    await expect(card).to_be_hidden()


async def test_steps_are_folded_and_their_errors_are_not_lost(site: Site, page: Page, tmp_path: Path) -> None:
    """A folded one says how much is inside, and that it failed; the count of errors leads there."""
    await shown(site, page, tmp_path)
    await expect(rows(page)).to_have_count(4)
    await expect(row(page, 2).locator(".inside.error")).to_have_text("+1")
    await page.get_by_role("button", name="1 error").click()
    await expect(row(page, 3)).to_have_attribute("aria-selected", "true")
    await page.get_by_role("button", name="Close details").click()
    await page.get_by_text("Filter", exact=True).click()
    await page.get_by_label("Fold steps").uncheck()
    await expect(rows(page)).to_have_count(5)


async def test_what_is_read_is_found_and_marked(site: Site, page: Page, tmp_path: Path) -> None:
    """Keys work before anything was clicked; facets narrow, and the text around what is found is shown."""
    await shown(site, page, tmp_path)
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search events")).to_be_focused()
    await page.get_by_label("Search events").fill("tool:bash status:error needle")
    await expect(rows(page)).to_have_count(1)
    await expect(rows(page).locator("mark")).to_have_text(["needle"])
    await page.get_by_label("Search events").fill(">1s kind:tool")
    await expect(rows(page)).to_have_count(1)
    await expect(rows(page)).to_contain_text("publish")
    await page.keyboard.press("Escape")
    await page.get_by_text("Filter", exact=True).click()
    await page.get_by_role("group", name="Tool").get_by_label("bash").check()
    await expect(rows(page)).to_have_count(1)
    await expect(page.locator(".menu > summary .count").first).to_have_text("1")


async def test_a_row_and_a_trace_are_taken_along(site: Site, page: Page, tmp_path: Path) -> None:
    """A row by the clipboard, as text, Markdown and JSON; all of it as JSON lines, for Perfetto, and as Markdown."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await shown(site, page, tmp_path)
    panel = await open_event(page, 3)
    copied = {}
    for name in ("As text", "As Markdown", "As JSON"):
        await panel.locator(".copy-menu > summary").click()
        await panel.get_by_role("button", name=name).click()
        await expect(panel.locator(".copy-menu > summary")).to_have_class("copied")
        copied[name] = await page.evaluate("navigator.clipboard.readText()")
    assert copied["As text"].startswith('bash (Error, 1 s)\n\nError:\nMakeError: no rule "needle"\n\nInput:')
    assert copied["As Markdown"].startswith("## bash (Error, 1 s)\n\n**Error**\n\n```")
    assert [event["sequence"] for event in json.loads(copied["As JSON"])] == [3, 4]
    found = {}
    for name in ("JSON lines", "Perfetto", "OpenTelemetry", "Markdown"):
        await page.get_by_title("Export").click()
        async with page.expect_download() as download:
            await page.locator(".export-menu").get_by_text(name, exact=True).click()
        file = await download.value
        found[file.suggested_filename] = Path(await file.path()).read_text()
    assert len(found["run.jsonl"].splitlines()) == len(RUN)
    assert "traceEvents" in found["run.trace.json"]
    assert "resourceSpans" in found["run.otlp.json"]
    assert "\n#### bash (Error, 1 s)\n" in found["run.md"]


async def test_a_and_r_lead_to_what_waits(site: Site, page: Page) -> None:
    """To the button: whoever presses that has seen what it does."""
    form, agent = await asked(site, page, "keys")
    await page.keyboard.press("r")
    await expect(form.get_by_role("button", name="Reject")).to_be_focused()
    await page.get_by_role("button", name="Close details").click()
    await page.keyboard.press("a")
    await expect(form.get_by_role("button", name="Approve")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(form).to_be_hidden()
    output, errors = await agent.communicate()
    assert agent.returncode == 0, output + errors
