"""The list of traces, and what holds for all pages."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, Route, expect

from .conftest import IN_A_BROWSER, Site
from .viewing import (
    LOST_CONNECTION,
    PATIENCE_MS,
    RECORDINGS,
    RUN,
    expect_events,
    expect_state,
    made,
    open_event,
    rows,
    write_lines,
)

pytestmark = IN_A_BROWSER

SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


async def test_the_list_gets_new_traces_without_a_reload_and_links_to_them(site: Site, page: Page) -> None:
    """Those that run come first, then the newest, and the focus stays where it was."""
    run = await site.begin_run("first")
    await page.goto(site.url("/"))
    await expect(page.get_by_text("Nothing has been emitted yet.")).to_be_visible()
    await page.evaluate("window.loadedOnce = true")

    await run.emit(RUN[:3])
    first = page.get_by_role("row").filter(has_text="first")
    await expect(first).to_contain_text("Running", timeout=PATIENCE_MS)
    await expect(page.get_by_text("Nothing has been emitted yet.")).to_be_hidden()
    await first.get_by_role("link").focus()
    await site.play(RECORDINGS / "cuga-orchestrator.jsonl", "second")
    await expect(names(page)).to_have_text(["first", "second"], timeout=PATIENCE_MS)
    await run.emit(RUN[3:5])
    await run.end()

    await expect(first).to_contain_text("Success", timeout=PATIENCE_MS)
    await expect(names(page)).to_have_text(["second", "first"])
    await expect(first.get_by_role("link")).to_be_focused()
    assert await page.evaluate("window.loadedOnce") is True

    await page.keyboard.press("Enter")
    await expect(page).to_have_url(site.url("/dashboard/traces/first"))
    await expect_events(page, 5)


def names(page: Page) -> Locator:
    """Of the traces that are listed, in their order."""
    return page.locator("trace-list a.name")


async def test_a_trace_has_a_face(site: Site, page: Page) -> None:
    """Its name, conversation and tags, what it took, and that it waits; its page has them, too."""
    await site.manage("shell", "-c", FACES)
    await page.goto(site.url("/"))
    reports = page.get_by_role("row").filter(has_text="Daily report")
    await expect(reports).to_have_count(2)
    await expect(reports.first).to_contain_text("nightly")
    await expect(reports.first.get_by_role("cell")).to_have_text(
        ["Success", "", re.compile("s$"), "2", "1", "1", "1.2k \u2192 88", "$0.0123", re.compile("ago$")]
    )
    await reports.first.get_by_role("button", name="support-7").click()
    await expect(names(page)).to_have_text(["Daily report", "Daily report"])
    await expect(page).to_have_url(site.url("/dashboard/traces/?conversation=support-7"))
    await page.get_by_role("button", name="Show others than conversation support-7 too").click()
    await expect(names(page)).to_have_count(3)
    await page.get_by_label("Search traces").fill("look around")
    await expect(names(page)).to_have_text(["Look around"])
    await page.get_by_label("Search traces").fill("no such thing")
    await expect(page.get_by_text("No trace matches.")).to_be_visible()
    await page.get_by_role("button", name="Show all traces").click()
    await page.get_by_label("State").select_option("running")
    await expect(page.get_by_text("No trace matches.")).to_be_visible()
    await page.get_by_label("State").select_option("success")
    await names(page).first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Daily report")
    await expect(page.get_by_role("link", name="support-7")).to_be_visible()


async def test_of_a_long_face_each_part_is_seen(site: Site, page: Page) -> None:
    """A conversation or a tag of many letters ends with dots, and pushes no other out."""
    await site.manage("shell", "-c", LONG_FACE)
    await page.goto(site.url("/dashboard/traces/long"))
    face = await page.locator(".face").bounding_box()
    assert face is not None
    parts = [await part.bounding_box() for part in await page.locator(".face > *").all()]
    assert len(parts) == 5
    assert all(box and box["width"] > 20 and box["x"] + box["width"] <= face["x"] + face["width"] + 1 for box in parts)
    await page.goto(site.url("/dashboard/traces/"))
    tags = await page.locator("trace-list .tags").bounding_box()
    assert tags is not None
    last = await page.locator("trace-list .tag").last.bounding_box()
    assert last is not None
    assert last["x"] + last["width"] <= tags["x"] + tags["width"] + 1


async def test_a_magnified_page_has_room_for_a_trace(site: Site, page: Page, tmp_path: Path) -> None:
    """At 400 % of a window of 1280 pixels it scrolls, and some rows are in sight; at 200 % the details have a title."""
    events = [made("tool_call_complete", "success", tool="search")] * 20
    await site.play(write_lines(tmp_path / "rows.jsonl", events), "rows")
    await page.set_viewport_size({"width": 320, "height": 256})
    await page.goto(site.url("/dashboard/traces/rows"))
    await expect_events(page, 20)
    grid = await page.locator(".rows").locator("xpath=..").bounding_box()
    assert grid is not None
    assert grid["height"] > 90
    await page.set_viewport_size({"width": 720, "height": 450})
    title = (await open_event(page, 1)).locator(".title")
    assert await title.evaluate("node => node.scrollWidth - node.clientWidth") == 0


LONG_FACE = """
from trace_streaming import TraceEmitter
from django.contrib.auth.models import User
owner = User.objects.create_user("ada")
with TraceEmitter("long", name="N" * 150, conversation="c" * 180, tags=["t" * 90, "x"], owner=owner) as emitter:
    emitter.emit("plan_created")
assert emitter.flush(30)
"""
FACES = """
from trace_streaming import TraceEmitter
usage = {"gen_ai.usage.input_tokens": 602, "gen_ai.usage.output_tokens": 44, "gen_ai.usage.cost": 0.00615}
with TraceEmitter("plain", metadata={"goal": "Look around"}) as emitter:
    emitter.emit("plan_created")
for trace_id in ("report-1", "report-2"):
    face = {"name": "Daily report", "conversation": "support-7", "tags": ["nightly"]}
    with TraceEmitter(trace_id, **face) as emitter:
        for number in range(2):
            emitter.emit("llm_call_complete", {"call_id": f"m{number}", **usage}, "success")
        emitter.emit("tool_call_error", {"tool": "mail", "error": "no"}, "error")
assert emitter.flush(30)
"""


async def test_older_traces_are_shown_and_none_twice_or_lost_while_new_ones_come(site: Site, page: Page) -> None:
    """A page begins behind what is known, however many have come meanwhile."""
    await site.manage("shell", "-c", MANY.format(first=0, last=120))
    await page.goto(site.url("/"))
    await expect(names(page)).to_have_count(50)
    await site.manage("shell", "-c", MANY.format(first=120, last=130))
    await expect(names(page)).to_have_count(60, timeout=PATIENCE_MS)
    await page.get_by_role("button", name="Show older traces").click()
    await expect(names(page)).to_have_count(110)
    await page.get_by_role("button", name="Show older traces").click()
    await expect(names(page)).to_have_text([f"t-{number}" for number in reversed(range(130))])
    await expect(page.get_by_role("button", name="Show older traces")).to_be_hidden()
    await site.manage(
        "shell", "-c", "from trace_streaming.models import Trace; Trace.objects.filter(trace_id='t-129').delete()"
    )
    await expect(names(page)).to_have_count(129, timeout=PATIENCE_MS)


async def test_older_traces_that_come_behind_another_search_are_not_shown(site: Site, page: Page) -> None:
    """A slow answer is of what was asked for before."""
    await site.manage("shell", "-c", MANY.format(first=0, last=160).replace('}")', '}", name=str(number))'))
    await page.goto(site.url("/"))
    held = asyncio.get_running_loop().create_future()

    def hold(route: Route) -> None:
        held.set_result(route)

    await page.route("**/api/traces?*cursor=*", hold, times=1)
    await page.get_by_role("button", name="Show older traces").click()
    route = await held
    await page.get_by_label("Search traces").fill("1")
    await expect(page).to_have_url(re.compile(r"text=1"))
    await expect(page.get_by_role("status")).to_have_text("Live", timeout=PATIENCE_MS)
    await route.continue_()
    await expect(page.get_by_role("button", name="Show older traces")).to_be_enabled()
    await page.get_by_role("button", name="Show older traces").click()
    matching = [str(number) for number in reversed(range(160)) if "1" in str(number)]
    await expect(names(page)).to_have_text(matching)


MANY = """
from trace_streaming import TraceEmitter
for number in range({first}, {last}):
    with TraceEmitter(f"t-{{number}}") as emitter:
        emitter.emit("plan_created")
assert emitter.flush(30)
"""


async def test_the_list_says_when_the_server_is_away(site: Site, page: Page, tolerated: list[str]) -> None:
    """It does not pass old numbers off as current, and recovers by itself."""
    tolerated.append(LOST_CONNECTION)
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "listed")
    await page.goto(site.url("/"))
    status = page.get_by_role("status")
    await expect(status).to_have_text("Live", timeout=PATIENCE_MS)

    await site.kill()
    await expect(status).to_have_text("The server does not answer, trying again", timeout=PATIENCE_MS)
    await expect(page.get_by_role("link", name="listed")).to_be_visible()

    await site.start()
    await expect(status).to_have_text("Live", timeout=PATIENCE_MS)


async def test_the_list_asks_whoever_may_see_nothing_to_log_in(site: Site, page: Page, tolerated: list[str]) -> None:
    """Where the API is closed to him, it does not say that the server is away, nor that there is nothing."""
    tolerated += ["401", "403"]
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "hidden")
    await page.goto(site.url("/"))
    await expect(page.get_by_role("link", name="hidden")).to_be_visible()
    await page.route(re.compile("/api/traces"), refuse)
    await expect(page.get_by_role("status")).to_have_text("Log in to see traces", timeout=PATIENCE_MS)


async def refuse(route: Route) -> None:
    """As the API does where nobody has logged in."""
    await route.fulfill(status=403, json={"detail": "Authentication credentials were not provided."})


async def test_the_pages_work_under_a_strict_content_security_policy(
    site: Site, page: Page, tolerated: list[str]
) -> None:
    """Nothing inline, nothing from elsewhere; the last step shows that the policy was in force."""
    await page.add_init_script(
        "window.violations = [];"
        "addEventListener('securitypolicyviolation', (event) => violations.push(event.effectiveDirective))"
    )
    await site.play(RECORDINGS / "cuga-orchestrator.jsonl", "strict")

    await page.goto(site.url("/"))
    await expect(page.locator("time").first).to_contain_text(re.compile(r"^\d+s ago$"))  # what the script has written
    assert await page.evaluate("violations") == []

    await page.get_by_role("link", name="strict").click()
    await expect_events(page, 296)
    await rows(page).first.click()
    await expect(page.locator(".panel .tree").first).to_be_visible()
    await page.get_by_role("button", name="Keyboard").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await page.evaluate("violations") == []

    tolerated.append("Content Security Policy")
    await page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: '1'}))")
    await page.wait_for_function("violations.includes('script-src-elem')")


@SCHEMES
@pytest.mark.parametrize("width", [1280, 800, 360])
async def test_nothing_is_wider_than_the_window(
    site: Site, page: Page, width: int, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    """Neither a long trace id nor long words make the page scroll sideways."""
    trace_id, word = "w" * 128, "x" * 400
    details = {"tool": word, word: word, "duration_ms": 12345.6}
    events = [made("tool_call_complete", "warning", **details)] * 3
    events += [made("approval_requested", tool_name=word, risk_level=word), made("budget_warning", utilization=0.9)]
    await site.play(write_lines(tmp_path / "wide.jsonl", events), trace_id)
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=scheme)

    for path in ("/", f"/dashboard/traces/{trace_id}"):
        await page.goto(site.url(path))
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await expect_events(page, 5)
    for sequence in (1, 4):
        panel = await open_event(page, sequence)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        box = await panel.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
        content = panel.locator(".content")
        assert await content.evaluate("node => node.scrollWidth - node.clientWidth") == 0
    grid = page.get_by_role("treegrid")
    assert await grid.evaluate("node => node.scrollWidth - node.clientWidth") == 0


@SCHEMES
@pytest.mark.parametrize("width", [1280, 360])
async def test_axe_finds_nothing(
    site: Site, page: Page, tolerated: list[str], width: int, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    """WCAG 2.2 A and AA and best practices, of list and viewer, with a filter, the details and the keys open."""
    tolerated.append("Applying inline style violates")  # axe does
    recording = (RECORDINGS / "cuga-orchestrator.jsonl").read_text().splitlines()
    (tmp_path / "short.jsonl").write_text("\n".join(recording[:16]))
    await site.play(tmp_path / "short.jsonl", "axe")
    run = await site.begin_run("waiting")
    await run.emit(recording[index].encode() for index in (0, 1, 4))
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")

    await page.goto(site.url("/"))
    await expect_accessible(page)
    for trace_id in ("waiting", "axe"):
        await page.goto(site.url(f"/dashboard/traces/{trace_id}"))
        await expect_state(page, {"waiting": "Live", "axe": "Ended: error"}[trace_id])
        await expect_accessible(page)
    await page.get_by_text("Filter", exact=True).click()
    await expect_accessible(page)
    await open_event(page, 2)
    await expect_accessible(page)
    await page.get_by_role("button", name="Close details").click()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await expect_accessible(page)


async def expect_accessible(page: Page) -> None:
    """No violation of any rule of axe."""
    results = await Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
