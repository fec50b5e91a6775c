"""Agents of real frameworks wait, each in a process of the frameworks' environment; a human decides in the page."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import Mapping

import pytest
from playwright.async_api import Page, expect

from .conftest import IN_A_BROWSER, PROCESS_SECONDS, ROOT, Site
from .viewing import PATIENCE_MS, expect_state, received

PYTHON = ROOT / ".venv" / "frameworks" / "pinned" / "bin" / "python"
pytestmark = [
    *IN_A_BROWSER,
    pytest.mark.skipif(not PYTHON.exists(), reason="The frameworks are not installed: make test-all installs them"),
    pytest.mark.takes(seconds=10),
]


@pytest.mark.parametrize(
    ("way", "filled", "button", "sent", "told"),
    [
        ("with_langchain", {}, "Approve", ["bob"], "sent to bob"),
        ("with_langgraph", {"Comment": "Not on Sundays."}, "Reject", [], "Not on Sundays."),
        ("with_langchain_streamed", {"to": "carol"}, "Approve with changes", ["carol"], "sent to carol"),
        ("with_openai_agents", {"Comment": "I have called him."}, "Answer", [], "I have called him."),
        ("with_openai_agents_streamed", {}, "Approve", ["bob"], "sent to bob"),
        ("with_pydantic_ai", {"to": "carol"}, "Approve with changes", ["carol"], "sent to carol"),
        ("with_pydantic_ai_events", {"Comment": "Not on Sundays."}, "Reject", [], "Not on Sundays."),
    ],
)
async def test_a_human_decides_and_the_agent_goes_on(
    way: str, filled: Mapping[str, str], button: str, sent: list[str], told: str, site: Site, page: Page
) -> None:
    """With one click, where what is asked is shown."""
    agent = await asyncio.create_subprocess_exec(
        *(str(PYTHON), "-m", "tests.frameworks.mailing_process", way, "t"),
        cwd=ROOT,
        env={**site.environment, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        await page.goto(site.url("/dashboard/traces/t"))
        await page.locator(".card-call:visible").click(timeout=PATIENCE_MS)
        form = page.get_by_role("form", name="Decide")
        await expect(form).to_contain_text("send_mail")
        for label, value in filled.items():
            await form.get_by_label(label).fill(value)
        await form.get_by_role("button", name=button, exact=True).click()
        await expect_state(page, "Ended: success")
        async with asyncio.timeout(PROCESS_SECONDS):
            output, errors = await agent.communicate()
        assert agent.returncode == 0, errors.decode()
        to, said = json.loads(output)
        assert to == sent
        assert said.endswith(told)  # LangChain tells its model more of an edit
    finally:
        if agent.returncode is None:
            agent.kill()
            await agent.communicate()
    decided = [each["details"]["decision"] for each in await received(page) if each["event"] == "approval_received"]
    assert decided == [{"Approve": "approved", "Reject": "rejected", "Answer": "responded"}.get(button, "edited")]
