"""``make screenshots``: the documentation's pictures, of recordings in the real pages and in a terminal."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Locator, Page, async_playwright, expect
from rich.console import Console
from rich.text import Text

from tests.live.servers import migrated_file

from .conftest import BROWSER_ARGUMENTS, ROOT, Site, find_browser, finish, manage_command
from .viewing import RECORDINGS, expect_state

WIDE = (1280, 760)
TALL = (1280, 1010)
"""All rows of the demonstration's run."""
NARROW = (360, 740)
ADMIN = (1180, 860)
COLUMNS, TERMINAL_LINES = 112, 20
CREATE_USER = 'from django.contrib.auth.models import User; User.objects.create_superuser("demo", password="demo")'
LIVE_EVENTS = 33
"""So many of the run are emitted when its picture is taken: the last is the start of a call."""
PLAY = (
    "import django; django.setup(); import time; from cuga_site.recorded_run import play_recorded_run;"
    " play_recorded_run(lambda seconds: time.sleep(seconds) or False)"
)
LIVE_RUN = RECORDINGS / "swe-agent-ctf-katy.jsonl"
PACES = {"swe-agent-marshmallow-1867": 1.0, "cuga-orchestrator": 0.15}
"""As the demonstration plays them: what is seen on the time axis is how long the run took."""


@asynccontextmanager
async def shown(
    browser: Browser, address: str, size: tuple[int, int], scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[Page]:
    """A page of its own, without what moves."""
    viewport = {"width": size[0], "height": size[1]}
    page = await browser.new_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    await page.goto(address)
    yield page
    await page.close()


async def take_dashboard(site: Site, browser: Browser, folder: Path) -> None:
    """Of an hour that a process has emitted."""
    command = [sys.executable, "-m", "tests.browser.busy_hour"]
    environment = {**site.environment, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    await finish(await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE))
    async with shown(browser, site.url("/dashboard/"), (1440, 900)) as page:
        await expect(page.locator(".uplot")).to_have_count(5)
        await page.screenshot(path=folder / "dashboard.png", full_page=True)
    async with shown(browser, site.url("/dashboard/"), NARROW, "dark") as page:
        await expect(page.locator(".uplot")).to_have_count(5)
        await page.screenshot(path=folder / "dashboard-narrow.png")


async def take_all(site: Site, browser: Browser, folder: Path) -> None:
    """Play the recordings, and take the pictures."""
    await take_dashboard(site, browser, folder)
    runs = [site.play(RECORDINGS / f"{name}.jsonl", name, pace) for name, pace in PACES.items()]
    finished = asyncio.gather(*runs)
    beginning = LIVE_RUN.read_bytes().splitlines()[:LIVE_EVENTS]
    live = await site.begin_run("swe-agent-ctf-katy", speed=1)
    async with shown(browser, site.url("/dashboard/traces/swe-agent-ctf-katy"), WIDE) as page:
        await live.emit(beginning)
        await expect(page.locator(".fact-events")).to_have_text(f"{LIVE_EVENTS} events", timeout=30_000)
    await take_terminal(site, folder)
    await live.stop()
    await finished
    await take_recorded_run(site, browser, folder)
    async with shown(browser, site.url("/dashboard/traces/cuga-orchestrator"), WIDE) as page:
        await expect_state(page, "Ended: error")
        await page.screenshot(path=folder / "approvals.png")
    async with shown(browser, site.url("/dashboard/traces/cuga-orchestrator"), NARROW, "dark") as page:
        await expect_state(page, "Ended: error")
        await page.screenshot(path=folder / "trace-page-narrow.png")


async def take_recorded_run(site: Site, browser: Browser, folder: Path) -> None:
    """The demonstration's run: while a human is asked, a model's answer, what is asked, and the list with it."""
    environment = {**site.environment, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    agent = await asyncio.create_subprocess_exec(sys.executable, "-c", PLAY, cwd=ROOT, env=environment)
    async with shown(browser, site.url("/dashboard/traces/"), (1280, 560)) as page:
        row = page.locator("trace-list tr").filter(has_text="Mend the flaky checkout test")
        name = row.locator("a.name")
        await expect(name).to_be_visible(timeout=30_000)
        await expect(row.get_by_role("link", name="Waits for you")).to_be_visible(timeout=60_000)
        await page.screenshot(path=folder / "traces.png")
        address = site.url(await name.get_attribute("href") or "")
    async with shown(browser, address, TALL) as page:
        await expect(approval_of(page).get_by_text("Decide", exact=True)).to_be_visible(timeout=30_000)
        await page.screenshot(path=folder / "trace-page.png")
    async with shown(browser, address, WIDE) as page:
        await approval_of(page).click()
        body = page.get_by_role("textbox", name="body")
        await body.fill((await body.input_value()).replace("100 runs passed", "200 runs passed"))
        await page.screenshot(path=folder / "approve.png")
    async with shown(browser, address, WIDE, "dark") as page:
        await page.locator(".rows > .kind-llm").last.click()
        await expect(page.locator(".panel .markdown table")).to_be_visible()
        await page.screenshot(path=folder / "trace-page-dark.png")
    agent.terminate()
    await agent.wait()


def approval_of(page: Page) -> Locator:
    """What the run asks."""
    return page.locator(".rows > .kind-approval")


async def take_admin(site: Site, browser: Browser, folder: Path) -> None:
    """The list of traces, and one of them."""
    await site.manage("shell", "-c", CREATE_USER)
    async with shown(browser, site.url("/admin/login/?next=/admin/trace_streaming/trace/"), ADMIN) as page:
        await page.get_by_label("Username").fill("demo")
        await page.get_by_label("Password").fill("demo")
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("button", name="Toggle navigation").click()
        await page.screenshot(path=folder / "admin-list.png", clip={"x": 0, "y": 0, "width": ADMIN[0], "height": 570})
        await page.get_by_role("link", name="cuga-orchestrator").click()
        await expect_state(page, "Ended: error")
        await page.screenshot(path=folder / "admin-trace.png")


async def take_terminal(site: Site, folder: Path) -> None:
    """What ``tail_trace`` writes into a terminal, as a picture of text."""
    arguments = ("tail_trace", LIVE_RUN.stem, "--since", "0", "--force-color")
    process = await asyncio.create_subprocess_exec(
        *manage_command(*arguments), cwd=ROOT, env={**site.environment, "COLUMNS": str(COLUMNS)}, stdout=PIPE
    )
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(LIVE_EVENTS)]
    process.terminate()
    await process.communicate()
    terminal = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    terminal.print(f"$ python manage.py {' '.join(arguments[:-1])}", style="bold", highlight=False)
    for line in lines[:TERMINAL_LINES]:
        terminal.print(Text.from_ansi(line), no_wrap=True, overflow="ellipsis")
    terminal.print()
    drawn = terminal.export_svg(title="tail_trace", unique_id="terminal")
    # A picture in a page may load nothing: the reader's own typeface is as good.
    (folder / "tail-trace.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL))


async def main(folder: Path) -> None:
    """Serve the site on a database of its own, and leave nothing but the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        site = Site(Path(shutil.copy(migrated_file(), Path(place) / "site.sqlite3")), Path(place) / "server.log")
        try:
            await site.start()
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=find_browser(), args=BROWSER_ARGUMENTS)
                await take_all(site, browser, folder)
                await take_admin(site, browser, folder)
                await browser.close()
        finally:
            await site.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
