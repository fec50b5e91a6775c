"""What agents ask is decided on one page, also with a thumb; every page tells that something waits."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from .conftest import IN_A_BROWSER, Site
from .viewing import PATIENCE_MS

pytestmark = IN_A_BROWSER

ASK = """
from trace_streaming import TraceEmitter
emitter = TraceEmitter("t")
ask = emitter.ask_approval
ask("send_email", tool_name="mail", risk_level="high", arguments={"to": "bob", "text": "Hello"}, timeout=30)
ask("rename", risk_level="low", arguments={"name": "report.txt"}, timeout=900)
ask("tidy", risk_level="low", arguments={"folder": "<b>tmp</b>"}, timeout=800)
assert emitter.flush(60)
"""


async def test_the_most_urgent_is_first_and_is_decided_where_it_stands(site: Site, page: Page) -> None:
    """What was decided, by whom and when, stands below; the tab says how many wait, on every page."""
    await page.goto(site.url("/dashboard/approvals/"))
    await expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
    await site.manage("shell", "-c", ASK)
    mine = page.get_by_role("list", name="Waits for you").get_by_role("listitem")
    await expect(mine).to_have_count(3, timeout=PATIENCE_MS)
    await expect(mine.nth(0)).to_contain_text("send_email")
    await expect(mine.nth(1)).to_contain_text("tidy")
    await expect(page).to_have_title("(3) Approvals", timeout=PATIENCE_MS)
    await mine.nth(0).locator("summary").click()
    await mine.nth(0).get_by_label("text").fill("Good day")
    await mine.nth(0).get_by_role("button", name="Approve with changes").click()
    await expect(mine).to_have_count(2, timeout=PATIENCE_MS)
    decided = page.get_by_role("table", name="Decided").get_by_role("row").nth(1)
    await expect(decided).to_contain_text("Edited", timeout=PATIENCE_MS)
    await expect(decided).to_contain_text("(api)")
    for path, title in (("/dashboard/", "(2) Dashboard"), ("/dashboard/traces/t", "(2) t")):
        await page.goto(site.url(path))
        await expect(page).to_have_title(title, timeout=PATIENCE_MS)
        await expect(page.get_by_role("link", name="Approvals")).to_contain_text("2")


async def test_the_name_of_a_trace_is_shown_in_the_order_that_it_is_in(site: Site, page: Page) -> None:
    """Invariant 14. Whoever asks has named it; on the dashboard, too."""
    await site.manage("shell", "-c", ASK.replace('"t"', '"t", name="for \u202eecilA"'))
    for path, waiting in (("/dashboard/approvals/", "Waits for you"), ("/dashboard/", "Waiting for approval")):
        await page.goto(site.url(path))
        asked = page.get_by_role("list", name=waiting).get_by_role("listitem").first
        await expect(asked).to_contain_text("for \\u202eecilA", timeout=PATIENCE_MS)


async def test_from_the_list_to_the_decision_without_a_mouse(site: Site, page: Page) -> None:
    """Tab and Enter lead to the trace, a key to what it asks; what is decided is announced."""
    await site.manage("shell", "-c", ASK)
    await page.goto(site.url("/dashboard/traces/"))
    trace = page.locator("trace-list a.name")
    await expect(trace).to_have_text("t")
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await trace.evaluate("node => node.matches(':focus')"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("t")
    await expect(page.locator(".row.kind-approval:visible")).to_have_count(3, timeout=PATIENCE_MS)
    await page.keyboard.press("r")
    await expect(page.get_by_role("button", name="Reject")).to_be_focused(timeout=PATIENCE_MS)
    await page.keyboard.press("Enter")
    decided = (
        page.locator(".row.kind-approval", has_text="send_email").get_by_role("gridcell").filter(has_text="Rejected")
    )
    await expect(decided).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.get_by_role("group", name="Details", exact=True)).to_be_focused()
    await expect(page.locator(".panel").get_by_role("status").first).to_have_text("Rejected")


async def test_who_decides_by_the_keyboard_goes_on_with_the_next(site: Site, page: Page) -> None:
    """What is decided goes, and the focus to what stands there now; behind the last, to the words that nothing does."""
    await site.manage("shell", "-c", ASK)
    await page.goto(site.url("/dashboard/approvals/"))
    mine = page.get_by_role("list", name="Waits for you").get_by_role("listitem")
    for left in (2, 1, 0):
        await expect(mine).to_have_count(left + 1, timeout=PATIENCE_MS)
        if left == 2:
            await mine.first.locator("summary").focus()
        await expect(mine.first.locator("summary")).to_be_focused()
        await page.keyboard.press("Enter")
        reject = mine.first.get_by_role("button", name="Reject")
        await expect(reject).to_be_enabled()
        await reject.focus()
        await page.keyboard.press("Enter")
    await expect(page.get_by_text("Nothing waits for you.").locator("xpath=..")).to_be_focused(timeout=PATIENCE_MS)


async def test_several_of_low_risk_are_decided_at_once(site: Site, page: Page) -> None:
    """Each shows what it does before; those of more risk are decided alone. What was decided meanwhile is told."""
    await site.manage("shell", "-c", ASK)
    await page.goto(site.url("/dashboard/approvals/"))
    await expect(page.get_by_role("checkbox")).to_have_count(2, timeout=PATIENCE_MS)
    for box in await page.get_by_role("checkbox").all():
        await box.check()
    await expect(page.get_by_text("<b>tmp</b>")).to_be_visible()
    await expect(page.get_by_text("2 approvals of low risk")).to_be_visible()
    await page.get_by_role("button", name="Approve them").click()
    await expect(page.get_by_role("list", name="Waits for you").get_by_role("listitem")).to_have_count(1)
    await expect(page.get_by_role("table", name="Decided").get_by_role("row")).to_have_count(3)


async def test_what_is_too_long_to_be_seen_is_not_decided_with_others(site: Site, page: Page) -> None:
    """Blanks may push the end of an argument out of sight."""
    await site.manage("shell", "-c", ASK.replace("report.txt", "a" + " " * 2_000 + "; rm -rf /" * 50))
    await page.goto(site.url("/dashboard/approvals/"))
    box = page.get_by_role("checkbox", name="Choose rename of t")
    await box.click(timeout=PATIENCE_MS)
    await expect(page.get_by_text("too long to be decided with others")).to_be_visible()
    await expect(box).not_to_be_checked()
    await expect(page.get_by_role("button", name="Approve them")).to_be_hidden()


async def test_what_could_not_be_read_is_asked_for_again(site: Site, page: Page, tolerated: list[str]) -> None:
    """A server that is away for a moment leaves no form behind in which nothing can be decided."""
    tolerated.append("503")
    await site.manage("shell", "-c", ASK)
    await page.goto(site.url("/dashboard/approvals/"))
    await page.route("**/api/traces/t/approvals/*", lambda route: route.fulfill(status=503), times=1)
    first = page.get_by_role("list", name="Waits for you").get_by_role("listitem").nth(0)
    await first.locator("summary").click(timeout=PATIENCE_MS)
    await expect(first.get_by_role("alert")).to_contain_text("cannot be read")
    await expect(first.get_by_label("text")).to_have_value("Hello", timeout=PATIENCE_MS)
    await expect(first.get_by_role("alert")).to_be_hidden()


async def test_more_than_are_listed_are_told_of(site: Site, page: Page) -> None:
    """The most urgent hundred; those behind them come when there is room."""
    await site.manage("shell", "-c", ASK.replace('ask("tidy"', 'for _ in range(98): ask("tidy"'))
    await page.goto(site.url("/dashboard/approvals/"))
    mine = page.get_by_role("list", name="Waits for you").get_by_role("listitem")
    await expect(mine).to_have_count(100, timeout=PATIENCE_MS)
    hint = page.get_by_text("These are the most urgent; others appear when they are decided.")
    await expect(hint).to_be_hidden()
    await site.manage("shell", "-c", ASK)
    await expect(hint).to_be_visible(timeout=PATIENCE_MS)
    await expect(mine).to_have_count(100)


async def test_the_tab_says_how_many_wait_also_behind_a_throttle(site: Site, page: Page, tolerated: list[str]) -> None:
    """A project may have one: who was told to ask later asks later."""
    tolerated.append("429")
    await site.manage("shell", "-c", ASK)
    await page.route("**/api/approvals*", lambda route: route.fulfill(status=429), times=1)
    await page.goto(site.url("/dashboard/traces/t"))
    await expect(page).to_have_title("(3) t", timeout=PATIENCE_MS)


async def test_whoever_does_not_look_is_notified(site: Site, page: Page) -> None:
    """Where he has allowed it, of what was not there before; a click leads to the trace."""
    await page.context.grant_permissions(["notifications"])
    await page.goto(site.url("/dashboard/traces/"))
    told = await page.evaluate(
        """async () => {
          const told = [];
          globalThis.Notification = class extends EventTarget {
            static permission = "granted";
            constructor(title, options) { super(); told.push([title, options]); globalThis.last = this; }
          };
          const { WaitingBadge } = await import(document.querySelector("script[src*=waiting]").src);
          Object.defineProperty(document, "hidden", { value: true });
          const badge = new WaitingBadge(document.querySelector("a[data-waiting]"));
          const asked = (id, can_decide) =>
            ({ approval_id: id, trace_id: "t", action: "pay", risk_level: "high", can_decide });
          badge.show([asked("a", true)]);
          badge.show([asked("a", true), asked("b", true), asked("c", false)]);
          return told;
        }"""
    )
    assert json.loads(json.dumps(told)) == [["pay", {"body": "t · high risk", "tag": "b"}]]
    await page.evaluate("last.dispatchEvent(new Event('click'))")
    await expect(page).to_have_url(site.url("/dashboard/traces/t"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_can_be_used_with_a_thumb_and_by_anybody(
    site: Site, page: Page, tolerated: list[str], scheme: Literal["light", "dark"]
) -> None:
    """Axe finds nothing, buttons are as large as a thumb, and nothing is wider than a telephone."""
    tolerated.append("Applying inline style violates")  # axe does
    await site.manage("shell", "-c", ASK)
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(site.url("/dashboard/approvals/"))
    first = page.get_by_role("list", name="Waits for you").get_by_role("listitem").first
    await first.locator("summary").click(timeout=PATIENCE_MS)
    approve = first.get_by_role("button", name="Approve")
    box = await approve.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
