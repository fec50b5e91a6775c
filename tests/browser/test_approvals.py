"""An agent waits, a human decides in the page, the agent goes on with what was decided."""

from __future__ import annotations

import asyncio
import re
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
    await expect(form).to_contain_text("send_email · mail · high risk")
    await expect(form.get_by_label("password")).to_have_value("[redacted:key]")
    await form.get_by_role("button", name="As JSON").click()
    arguments = form.get_by_label("Arguments, as JSON")
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


async def test_each_argument_has_a_field_and_what_is_changed_is_shown(site: Site, page: Page) -> None:
    """Texts with their line breaks, numbers, yes and no, choices; what is no number is told, and decides nothing."""
    form, agent = await asked(site, page, "fields")
    assert await form.get_by_label("body").input_value() == "Dear Bob,\n\nhello.\n"
    await expect(form.get_by_label("tone").get_by_role("option")).to_have_text(["warm", "cool"])
    await form.get_by_label("copies").fill("many")
    await form.get_by_role("button", name="Approve with changes").click()
    await expect(form.get_by_role("alert")).to_have_text("“copies” is not a number")
    await form.get_by_label("copies").fill("9007199254740995")
    await form.get_by_label("body").fill("Dear Bob,\n\ngood day.\n")
    await form.get_by_label("urgent").check()
    await form.get_by_label("tone").select_option("cool")
    changes = form.get_by_role("region", name="Changes")
    await expect(changes.locator("b")).to_have_text(["body", "copies", "urgent", "tone"])
    await expect(changes.locator(".removed").first).to_have_text("- hello.")
    await expect(changes.locator(".added").first).to_have_text("+ good day.")
    await form.get_by_role("button", name="As JSON").click()
    await expect(form.get_by_label("Arguments, as JSON")).to_have_value(re.compile("9007199254740995"))
    await form.get_by_role("button", name="As JSON").click()
    await form.get_by_role("button", name="Approve with changes").click()
    await expect(form).to_be_hidden(timeout=PATIENCE_MS)
    await expect_state(page, "Ended: success")
    await finish(agent)
    result = (await received(page))[-1]["details"]["result"]
    assert result["arguments"] == {
        "to": ["bob"],
        "body": "Dear Bob,\n\ngood day.\n",
        "copies": 9007199254740995,
        "urgent": True,
        "tone": "cool",
    }


async def test_line_ends_stay_as_they_were_asked_for(site: Site, page: Page) -> None:
    """A field of the page has no \\r: what nobody has touched is no change, and a changed text keeps its own ends."""
    form, agent = await asked(site, page, "lines")
    await expect(form.get_by_label("body")).to_have_value("Dear Bob,\n\nhello.")
    await expect(form.get_by_role("button", name="Approve", exact=True)).to_be_enabled()
    changes = form.get_by_role("region", name="Changes")
    await expect(changes).to_be_hidden()
    await form.get_by_label("body").fill("Dear Bob,\n\ngood day.\n")
    await expect(changes.locator("b")).to_have_text(["body"])
    await expect(changes.locator(".removed, .added")).to_have_text(["- hello.", "+ good day.", "+ "])
    await form.get_by_role("button", name="Approve with changes").click()
    await expect_state(page, "Ended: success")
    await finish(agent)
    assert (await received(page))[-1]["details"]["result"]["arguments"] == {
        "head": "To: bob\r\nSubject: tea\r\n",
        "body": "Dear Bob,\r\n\r\ngood day.\r\n",
        "odd": "a\rb\nc",
    }


async def test_nothing_is_shown_in_another_order_than_it_is_in(site: Site, page: Page) -> None:
    """Invariant 14. A file that looks like annexexe.pdf is one to run; it goes on as it was asked for."""
    form, agent = await asked(site, page, "order")
    await expect(row(page, 2)).to_contain_text("annex\\u202efdp.exe")
    await expect(form.get_by_label("path")).to_have_value('"annex\\u202efdp.exe"')
    await expect(form.get_by_label("names")).to_have_value(re.compile(r'"\\u2066a"'))
    await expect(form.get_by_label("to")).to_have_value("b\u00f6b \u05d0")
    await expect(form.get_by_label("keep\\u202eeteled")).to_have_value("all")
    await expect(form.get_by_label("\\u202eyrd")).to_be_checked()
    await form.get_by_label("keep\\u202eeteled").fill("none")
    await expect(form.get_by_role("region", name="Changes").locator("b")).to_have_text(["keep\\u202eeteled"])
    await form.get_by_label("keep\\u202eeteled").fill("all")
    await form.get_by_role("button", name="As JSON").click()
    await expect(form.get_by_label("Arguments, as JSON")).to_have_value(re.compile(r"annex\\u202efdp\.exe"))
    await form.get_by_role("button", name="Approve", exact=True).click()
    await expect_state(page, "Ended: success")
    await finish(agent)
    arguments = (await received(page))[-1]["details"]["result"]["arguments"]
    assert arguments == {
        "path": "annex\u202efdp.exe",
        "names": ["\u2066a"],
        "to": "b\u00f6b \u05d0",
        "keep\u202eeteled": "all",
        "\u202eyrd": True,
    }


async def test_a_key_leads_to_the_button_and_another_back(site: Site, page: Page) -> None:
    """Nobody has to decide to get out of the details; in a field, what was written stays."""
    form, agent = await asked(site, page, "keys")
    await form.get_by_label("text").press("Escape")
    await expect(form).to_be_visible()
    await page.get_by_role("button", name="Close details").click()
    await page.keyboard.press("a")
    await expect(form.get_by_role("button", name="Approve", exact=True)).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(form).to_be_hidden()
    await page.keyboard.press("r")
    await expect(form.get_by_role("button", name="Reject")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect_state(page, "Ended: success")
    await finish(agent)


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
