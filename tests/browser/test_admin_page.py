"""A trace's page in the admin: the viewer for whoever may see it, and nothing for others."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Response, expect

from .conftest import IN_A_BROWSER, Site
from .test_demo_page import SCHEMES
from .viewing import RECORDINGS, RUN, expect_events, expect_state

pytestmark = IN_A_BROWSER
CREATE = """
from django.contrib.auth.models import User
User.objects.create_superuser("chief", password="chief")
User.objects.create_user("nobody", password="nobody", is_staff=True)
"""


async def log_in(site: Site, page: Page, name: str) -> None:
    await page.goto(site.url("/admin/login/"))
    await page.get_by_label("Username").fill(name)
    await page.get_by_label("Password").fill(name)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("button", name="Log out")).to_be_visible()


async def test_the_admin_shows_a_trace_live_to_those_who_may(site: Site, page: Page, tolerated: list[str]) -> None:
    """All events, under the strict policy of the site; a member of staff without the permission is refused."""
    tolerated += ["403", "404"]
    missing: list[str] = []

    def listen(response: Response) -> None:
        if response.status == 404:
            missing.append(urlsplit(response.url).path)

    page.on("response", listen)
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "in-the-admin")
    await site.manage("shell", "-c", CREATE)
    await log_in(site, page, "chief")
    await page.goto(site.url("/admin/trace_streaming/trace/"))
    await expect(page.locator(".trace-state")).to_have_text("success")
    await page.get_by_role("link", name="in-the-admin").click()
    await expect_state(page, "Ended: success")
    await expect_events(page, len(RUN))
    address = page.url
    assert {path for path in missing if path != "/favicon.ico"} == set()
    await page.get_by_role("button", name="Log out").click()
    await log_in(site, page, "nobody")
    response = await page.goto(address)
    assert response is not None
    assert response.status == 403


@SCHEMES
async def test_axe_finds_nothing_in_what_is_ours(
    site: Site, page: Page, tolerated: list[str], scheme: Literal["light", "dark"]
) -> None:
    """On a trace's page; the rest of it is Django's."""
    # axe does the first two; the admin has no favicon
    tolerated += ["Applying inline style violates", "Couldn.t load preload assets", "404"]
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "in-the-admin")
    await site.manage("shell", "-c", CREATE)
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await log_in(site, page, "chief")
    await page.goto(site.url("/admin/trace_streaming/trace/"))
    await page.get_by_role("link", name="in-the-admin").click()
    await expect_state(page, "Ended: success")
    results = await Axe().run(page, context={"include": [["trace-viewer"], ["fieldset"]]})
    assert results.violations_count == 0, results.generate_report()
