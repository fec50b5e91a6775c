"""Whoever may decide asks an agent to stop, in its page, and sees what comes of it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process

from playwright.async_api import Page, expect

from .conftest import IN_A_BROWSER, ROOT, Site
from .viewing import PATIENCE_MS, expect_state

pytestmark = IN_A_BROWSER

AGENT = """
import django, sys, time
django.setup()
from trace_streaming import TraceEmitter
from trace_streaming.exceptions import StopRequestedError
try:
    with TraceEmitter("t") as emitter:
        emitter.emit("plan_created", {"steps": 2}, "success")
        for _ in range(600):
            with emitter.step("works"):
                time.sleep(0.1)
                if sys.argv[1] == "listens":
                    emitter.check_stop()
except StopRequestedError as error:
    print(error)
assert emitter.flush(60)
"""


async def agent(site: Site, kind: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", AGENT, kind),
        cwd=ROOT,
        env={**site.environment, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"},
        stdout=PIPE,
        stderr=PIPE,
    )


async def ask_it_to_stop(page: Page, comment: str) -> None:
    await page.get_by_title("Stop the agent").click(timeout=PATIENCE_MS)
    await page.get_by_label("Why it should stop").fill(comment)
    await page.get_by_role("button", name="Ask it to stop").click()
    await expect(page.get_by_title("Stop the agent")).to_be_hidden()


async def test_an_agent_that_listens_is_stopped(site: Site, page: Page) -> None:
    """The page says so while it does, and who it was; the agent knows why."""
    running = await agent(site, "listens")
    await page.goto(site.url("/dashboard/traces/t"))
    await ask_it_to_stop(page, "too dear")
    await expect_state(page, "Stopped")
    output, errors = await running.communicate()
    assert b"asked to stop: too dear" in output, errors
    await expect(page.locator(".rows")).to_contain_text("Stop received")
    await page.reload()
    await expect_state(page, "Stopped")


async def test_of_one_that_does_not_the_page_says_that(site: Site, page: Page) -> None:
    """Escape closes the form, and nothing is asked then."""
    running = await agent(site, "is deaf")
    try:
        await page.goto(site.url("/dashboard/traces/t"))
        await page.get_by_title("Stop the agent").click(timeout=PATIENCE_MS)
        await page.get_by_label("Why it should stop").press("Escape")
        await expect(page.get_by_role("button", name="Ask it to stop")).to_be_hidden()
        await ask_it_to_stop(page, "")
        await expect_state(page, "Stopping")
        await expect(page.locator(".state")).to_contain_text("it has not listened yet", timeout=PATIENCE_MS)
    finally:
        running.terminate()
        await running.wait()
