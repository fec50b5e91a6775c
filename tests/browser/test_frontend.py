"""The npm package, packed, in a project of React and Vite that is built, and opened in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.client.test_client import node
from tests.documentation.pages import PAGES, blocks

from .conftest import IN_A_BROWSER, ROOT, Site
from .test_inbox import ASK
from .viewing import PATIENCE_MS, lines, made

pytestmark = [*IN_A_BROWSER, pytest.mark.takes(seconds=40)]

FRONTEND = Path(__file__).parent / "frontend"
REACTS = {"18": "18.3.1", "19": "19.2.0"}

__all__ = ["node"]


def npm(folder: Path, *arguments: str) -> str:
    quiet = ("--no-audit", "--no-fund", "--loglevel=error")
    done = subprocess.run(["npm", *arguments, *quiet], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def packed(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What would be published."""
    if shutil.which("npm") is None:
        pytest.skip("No npm is installed")
    folder = tmp_path_factory.mktemp("package")
    ignored = shutil.ignore_patterns("node_modules", "dist")
    for part in ("packages/client", "trace_streaming/static/trace_streaming/client"):
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    shutil.copy(ROOT / "LICENSE", folder)
    client = folder / "packages" / "client"
    npm(client, "install", "--no-package-lock")
    (report,) = json.loads(npm(client, "pack", "--json", "--silent"))
    assert {"dist/index.js", "dist/react.d.ts", "dist/trace_stream.js", "LICENSE"} <= {
        f["path"] for f in report["files"]
    }
    assert not [f["path"] for f in report["files"] if "node_modules" in f["path"]]
    return client / str(report["filename"])


@pytest.fixture(scope="session", params=REACTS)
def built(request: pytest.FixtureRequest, packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frontend, with one version of React; its types are checked, and those of what the documentation shows."""
    react, major = REACTS[request.param], request.param
    folder = tmp_path_factory.mktemp("frontend") / "frontend"
    shutil.copytree(FRONTEND, folder)
    shown = [block for page in PAGES for block in blocks(page) if block.language == "tsx"]
    assert shown
    for number, block in enumerate(shown):
        (folder / f"shown_{number}.tsx").write_text(block.code)
    wanted = [f"react@{react}", f"react-dom@{react}", f"@types/react@{major}", f"@types/react-dom@{major}"]
    npm(folder, "install", "--no-package-lock", str(packed), *wanted)
    npm(folder, "run", "build")
    return folder / "dist"


async def test_the_hook_says_that_it_is_for_the_browser(packed: Path) -> None:
    """Next.js and its like run what does not say so on the server, where it fails without a reason."""
    with tarfile.open(packed) as package:
        hook = package.extractfile("package/dist/react.js")
        assert hook is not None
        assert hook.readline().decode() == '"use client";\n'


async def test_a_frontend_watches_and_decides(site: Site, page: Page, built: Path) -> None:
    """One build does for all of it."""
    await shows_a_trace_live(site, page, built)
    await waits_until_it_is_told_to_connect(site, page, built)
    await decides_what_an_agent_asks(site, page, built)


async def opened(site: Site, page: Page, built: Path, query: str) -> None:
    async def serve(route: Route) -> None:
        name = route.request.url.partition("/frontend/")[2].partition("?")[0] or "index.html"
        await route.fulfill(path=built / name)

    await page.route("**/frontend/**", serve)
    await page.goto(site.url(f"/frontend/?{query}"))


async def shows_a_trace_live(site: Site, page: Page, built: Path) -> None:
    """Each event once, also where React mounts it twice; it goes on where it was left, and ends with the trace."""
    run = await site.begin_run("live")
    await run.emit(lines(made("agent_start", "pending", call_id="a", name="writer")))
    await opened(site, page, built, "trace=live")
    events = page.get_by_role("list", name="Events").get_by_role("listitem")
    spans = page.get_by_role("list", name="Spans").get_by_role("listitem")
    await expect(page.get_by_test_id("state")).to_have_text("connected")
    await expect(events).to_have_text(["1 agent_start"])
    await run.emit(lines(made("tool_call_start", "pending", call_id="t", parent_call_id="a", tool="bash")))
    await expect(spans).to_have_text(["agent writer open 1"])
    await page.get_by_role("button", name="Ping").click()
    await page.get_by_role("button", name="Disconnect").click()
    await expect(page.get_by_test_id("state")).to_have_text("closed")
    await run.emit(lines(made("tool_call_complete", "success", call_id="t", parent_call_id="a", tool="bash")))
    await run.emit(lines(made("agent_complete", "success", call_id="a", name="writer")))
    await page.get_by_role("button", name="Connect", exact=True).click()
    await expect(events).to_have_text(
        ["1 agent_start", "2 tool_call_start", "3 tool_call_complete", "4 agent_complete"], timeout=PATIENCE_MS
    )
    await expect(spans).to_have_text(["agent writer ok 1"])
    await page.get_by_role("button", name="Only what is new").click()
    await expect(events).to_have_count(0)
    await page.get_by_role("button", name="Only what is new").click()
    await expect(events).to_have_count(4)
    await page.get_by_role("button", name="Clear").click()
    await expect(events).to_have_count(0)
    await run.end()
    await expect(page.get_by_text("Ended: success")).to_be_visible(timeout=PATIENCE_MS)


async def waits_until_it_is_told_to_connect(site: Site, page: Page, built: Path) -> None:
    """A trace that does not exist is waited for; an id that cannot be one is refused."""
    await opened(site, page, built, "trace=none&waits")
    await expect(page.get_by_test_id("state")).to_have_text("idle")
    await page.get_by_role("button", name="Connect", exact=True).click()
    await expect(page.get_by_test_id("state")).to_have_text("connected")
    await expect(page.get_by_role("alert")).to_be_hidden()
    await opened(site, page, built, "trace=no%20id")
    await expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)


async def decides_what_an_agent_asks(site: Site, page: Page, built: Path) -> None:
    """With a button for each; what is decided goes."""
    await site.manage("shell", "-c", ASK)
    await opened(site, page, built, "trace=t")
    approve = page.get_by_role("button", name="Approve")
    await expect(approve).to_have_text(["Approve send_email", "Approve rename", "Approve tidy"], timeout=PATIENCE_MS)
    await approve.nth(1).click()
    await expect(approve).to_have_text(["Approve send_email", "Approve tidy"], timeout=PATIENCE_MS)
