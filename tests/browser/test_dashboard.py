"""The dashboard in a real Chromium: it shows what agents do, what waits, and what it does not know."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, Process
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from .conftest import IN_A_BROWSER, ROOT, Site, finish
from .test_admin_page import CREATE, log_in
from .test_demo_page import SCHEMES, expect_accessible
from .viewing import PATIENCE_MS, RECORDINGS, row

pytestmark = IN_A_BROWSER

LIVE = "Live"
SPEAK = """
from trace_streaming import TraceEmitter
with TraceEmitter("speaks") as emitter:
    with emitter.llm_call("gpt-5") as call:
        call.usage(cost=0.5)
assert emitter.flush(60)
"""


async def python(site: Site, *arguments: str) -> Process:
    """A process that works on the site's database."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        cwd=ROOT,
        env={**site.environment, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"},
        stdout=PIPE,
        stderr=PIPE,
    )


async def test_signals_appear_while_an_agent_works(site: Site, page: Page) -> None:
    """First there is nothing; then charts, numbers and tools come by themselves, and each chart is a table, too."""
    await page.goto(site.url("/dashboard/"))
    await expect(page.get_by_text("No agent has called a tool or a model in the last hour")).to_be_visible()
    await expect(page.get_by_role("status").get_by_text(LIVE)).to_be_visible()
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "katy")
    chart = page.get_by_role("img", name="Success rate over time. Calls that completed: latest 100%")
    await expect(chart).to_be_visible(timeout=PATIENCE_MS)
    assert await chart.locator("canvas").evaluate(
        "it => it.getContext('2d').getImageData(0, 0, it.width, it.height).data.some((byte) => byte > 0)"
    )
    await expect(page.locator("dd").first).to_have_text("100%")
    tools = page.locator("section", has=page.get_by_role("heading", name="Slowest tools")).get_by_role("row")
    assert await tools.count() > 1
    await page.get_by_role("button", name="Latency of tool calls as a table").click()
    table = page.get_by_role("table", name="Latency of tool calls")
    await expect(table.get_by_role("columnheader")).to_have_text(["From", "p95", "p50"])
    assert await table.get_by_role("row").count() > 30
    await page.get_by_label("15 min").check()
    await expect(table.get_by_role("row").nth(1).get_by_role("rowheader")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))


async def test_models_are_shown_where_no_tool_is_called(site: Site, page: Page) -> None:
    """An agent that only speaks costs money, too; what nobody knows of tools is a dash."""
    await site.manage("shell", "-c", SPEAK)
    await page.goto(site.url("/dashboard/"))
    models = page.locator("section", has=page.get_by_role("heading", name="Models")).get_by_role("row")
    await expect(models.nth(1)).to_contain_text("$0.5", timeout=PATIENCE_MS)
    await expect(page.get_by_text("No agent has called")).to_be_hidden()
    await expect(page.locator("dd").first).to_have_text("–")


async def test_an_approval_comes_and_goes_with_its_decision(site: Site, page: Page, browser: Browser) -> None:
    """The agent's question is listed; its link leads to where it is decided, and then it is gone everywhere."""
    other = await browser.new_page()
    for each in (page, other):
        await each.goto(site.url("/dashboard/"))
        await expect(each.get_by_text("Nothing waits for a decision.")).to_be_visible()
    agent = await python(site, "tests.browser.asking_agent", "asking")
    waiting = page.get_by_role("list", name="Waiting for approval").get_by_role("listitem")
    await expect(waiting).to_have_count(1, timeout=PATIENCE_MS)
    await expect(waiting).to_contain_text("send_email")
    await expect(waiting).to_contain_text("high risk")
    await expect(page.get_by_role("status").get_by_text("1 approval")).to_be_visible()
    await other.get_by_role("link", name="Decide send_email of asking").click(timeout=PATIENCE_MS)
    await row(other, 2).click(timeout=PATIENCE_MS)
    await other.get_by_role("form", name="Decide").get_by_role("button", name="Approve", exact=True).click()
    await expect(waiting).to_have_count(0, timeout=PATIENCE_MS)
    await expect(page.get_by_text("Nothing waits for a decision.")).to_be_visible()
    await finish(agent)
    await other.close()


async def test_what_is_shown_is_called_old_while_the_server_is_away(
    site: Site, page: Page, tolerated: list[str]
) -> None:
    """And it is live again by itself."""
    tolerated.append("net::ERR_")
    await page.goto(site.url("/dashboard/"))
    state = page.locator("trace-dashboard .state")
    await expect(state).to_have_text(LIVE)
    await site.kill()
    await expect(state).to_have_text("The server does not answer, trying again", timeout=PATIENCE_MS)
    await expect(page.locator("trace-dashboard .age")).to_contain_text("Shown as of")
    await site.start()
    await expect(state).to_have_text(LIVE, timeout=PATIENCE_MS)


async def test_a_page_that_nobody_sees_asks_nothing(site: Site, page: Page) -> None:
    """Hidden, it stops; seen again, it asks at once."""
    await page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    await page.goto(site.url("/dashboard/"))
    await expect(page.locator("trace-dashboard .state")).to_have_text(LIVE)
    await turn(page, "hidden")
    asked.clear()
    await page.clock.run_for(60_000)
    assert asked == []
    async with page.expect_response("**/api/signals/series?*"):
        await turn(page, "visible")


async def turn(page: Page, state: str) -> None:
    """As a browser does it with a tab."""
    await page.evaluate(
        """state => {
          Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )


@SCHEMES
@pytest.mark.parametrize("width", [1440, 360])
async def test_axe_finds_nothing_and_nothing_is_wider(
    site: Site, page: Page, tolerated: list[str], width: int, scheme: Literal["light", "dark"]
) -> None:
    """With all that can be seen, and with nothing, as charts and as tables; in the admin, too."""
    tolerated.append("Applying inline style violates")  # axe does
    await page.set_viewport_size({"width": width, "height": 900})
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await page.goto(site.url("/dashboard/"))
    await expect(page.get_by_text("No agent has called a tool")).to_be_visible()
    await expect_accessible(page)
    await finish(await python(site, "tests.browser.busy_hour"))
    await page.reload()
    await expect(page.locator(".uplot")).to_have_count(5)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await expect_accessible(page)
    for button in await page.get_by_role("button", name="as a table").all():
        await button.click()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await expect_accessible(page)


async def test_the_admin_has_the_dashboard(site: Site, page: Page, tolerated: list[str]) -> None:
    """Behind a link of its list of traces, under the strict policy of the site."""
    tolerated.append("404")  # the admin's favicon
    await finish(await python(site, "tests.browser.busy_hour"))
    await site.manage("shell", "-c", CREATE)
    await log_in(site, page, "chief")
    await page.goto(site.url("/admin/trace_streaming/trace/"))
    await page.get_by_role("link", name="Dashboard").click()
    await expect(page.locator(".uplot")).to_have_count(5)
    await expect(page.get_by_role("list", name="Waiting for approval").get_by_role("listitem")).to_have_count(3)
