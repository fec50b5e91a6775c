"""An agent waits, a human decides in the page, the agent goes on with what was decided."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from typing import Any

from playwright.async_api import Locator, Page, expect

from .conftest import IN_A_BROWSER, ROOT, Site, finish
from .viewing import PATIENCE_MS, expect_state, received, row

pytestmark = IN_A_BROWSER


async def asked(site: Site, page: Page, trace_id: str) -> tuple[Locator, Any]:
    """The details of an agent's question, and the agent's process."""
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.browser.asking_agent", trace_id),
        cwd=ROOT,
        env={**site.environment, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"},
        stdout=PIPE,
        stderr=PIPE,
    )
    await page.goto(site.url(f"/dashboard/traces/{trace_id}"))
    await expect(row(page, 2).get_by_text("Decide", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    await row(page, 2).click()
    form = page.get_by_role("form", name="Decide")
    await expect(form).to_be_visible()
    return form, agent


async def test_a_human_edits_the_arguments_and_the_agent_goes_on_with_them(site: Site, page: Page) -> None:
    """What he was not shown is put back; a text that is not JSON is told, and decides nothing."""
    form, agent = await asked(site, page, "edited")
    arguments = form.get_by_label("Arguments, as JSON")
    await expect(form).to_contain_text("send_email · mail · high risk")
    assert "hunter2" not in await arguments.input_value()
    await arguments.fill("{")
    await form.get_by_role("button", name="Approve with changes").click()
    await expect(form.get_by_role("alert")).to_contain_text("not JSON")
    await arguments.fill('{"to": "bob", "text": "Good day", "password": "[redacted:key]"}')
    await form.get_by_label("Comment").fill("politer")
    await form.get_by_role("button", name="Approve with changes").click()
    await expect(form).to_be_hidden(timeout=PATIENCE_MS)
    await expect_state(page, "Ended: success")
    await finish(agent)
    events = await received(page)
    assert [event["event"] for event in events] == [
        *("plan_created", "approval_requested", "approval_received", "tool_call_start", "tool_call_complete"),
    ]
    assert events[2]["details"]["comment"] == "politer"
    assert events[3]["details"]["args"] == {"decision": "edited", "text": "Good day"}
    assert events[4]["details"]["result"] == {"is_whole": True}


async def test_a_rejection_needs_one_click(site: Site, page: Page) -> None:
    """The card then says so, and offers nothing any more."""
    form, agent = await asked(site, page, "rejected")
    await form.get_by_role("button", name="Reject").click()
    await expect(form).to_be_hidden(timeout=PATIENCE_MS)
    await expect_state(page, "Ended: success")
    await finish(agent)
    await expect(row(page, 2)).to_contain_text("Rejected")
    await expect(row(page, 2).get_by_text("Decide", exact=True)).to_be_hidden()
    assert (await received(page))[3]["details"]["args"]["decision"] == "rejected"
