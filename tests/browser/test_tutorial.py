"""The tutorial, followed to the letter: a wheel in an empty folder, two terminals, and a browser."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import urllib.request
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.documentation.pages import ROOT, Block, blocks
from tests.live.services import free_port
from tests.live.test_readme import site_packages

from .conftest import IN_A_BROWSER, PROCESS_SECONDS
from .viewing import LOST_CONNECTION, PATIENCE_MS, expect_state

PYTHON: Final = Path(os.environ.get("FRAMEWORKS_PYTHON", ROOT / ".venv" / "frameworks" / "pinned" / "bin" / "python"))
"""Has all that the tutorial installs, but the app."""
PAGE: Final = ROOT / "docs" / "tutorial.md"
INSTALL: Final = 'pip install "django-trace-streaming[langchain,uvicorn]" langchain'

__all__ = ["site_packages"]
pytestmark = [
    *IN_A_BROWSER,
    pytest.mark.skipif(not PYTHON.exists(), reason="The frameworks are not installed: make test-all installs them"),
    pytest.mark.takes(seconds=45),
]


class Reader:
    """Does what the page says, step by step; what serves until Ctrl-C goes on."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder.parent / "server.log"
        self._wheel = wheel
        self._exported = ""
        self._server: Process | None = None

    def blocks(self, step: int) -> list[Block]:
        """Those of one step."""
        text = PAGE.read_text()
        begins = text[: text.index(f"\n## {step}. ")].count("\n") + 1
        ends = text[: text.index("\n## ", text.index(f"\n## {step}. ") + 4)].count("\n") + 1
        return [block for block in blocks(PAGE) if begins < block.line < ends and block.language != "text"]

    async def follow(self, step: int) -> str:
        """Files are written, commands run; what the last command has said."""
        said = ""
        for block in self.blocks(step):
            if block.language == "python":
                self.write(block.code)
            else:
                for command in re.findall(r"^\$ (.*)$", block.code, re.MULTILINE):
                    said = await self.type(command)
        return said

    def write(self, code: str) -> None:
        """At the end of what is there, but for the one that the page replaces."""
        found = re.match(r"# (desk/\S+\.py)\n", code)
        assert found, code
        file = self.folder / found[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        there = file.read_text() if file.exists() and file.name != "asgi.py" else ""
        file.write_text(there + code)

    async def type(self, command: str) -> str:
        """In a terminal; its output."""
        if command.startswith("export"):
            self._exported += f"{command}\n"
        if command.endswith(("runserver", "--port 8000")):
            with self.log.open("ab") as log:
                self._server = await self.begin(command, log)
            return await self.serves()
        process = await self.begin(command)
        async with asyncio.timeout(PROCESS_SECONDS):
            output, _ = await process.communicate()
        assert process.returncode == 0, f"{command}\n{output.decode()}"
        return output.decode()

    async def begin(self, command: str, output: int | IO[bytes] = PIPE) -> Process:
        """With what this machine has otherwise: the port, a wheel instead of the index, and a name."""
        said = {
            INSTALL: f"pip install --quiet --no-index --no-deps {shlex.quote(str(self._wheel))}",
            "python3 -m venv .venv": f"{PYTHON} -m venv .venv && {self._frameworks()}",
            "python manage.py runserver": f"exec python manage.py runserver {self.port}",
            "python manage.py createsuperuser": "python manage.py createsuperuser --noinput",
        }.get(command, command.replace("python -m uvicorn", "exec python -m uvicorn"))
        activate = ". .venv/bin/activate\n" if (self.folder / ".venv").exists() else ""
        script = f"set -e\n{activate}{self._exported}{said.replace('8000', str(self.port))}"
        clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        clean["PYTHONUNBUFFERED"] = "1"  # as in a terminal
        superuser = {f"DJANGO_SUPERUSER_{name}": value for name, value in ADA.items()}
        return await asyncio.create_subprocess_exec(
            "bash", "-c", script, cwd=self.folder, env={**clean, **superuser}, stdout=output, stderr=STDOUT
        )

    @staticmethod
    def _frameworks() -> str:
        """So that nothing is fetched."""
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        return f'{PYTHON} -c "{where}" > $(.venv/bin/python -c "{where}")/frameworks.pth'

    async def serves(self) -> str:
        assert self._server is not None
        async with asyncio.timeout(PROCESS_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    assert self._server.returncode is None, self.log.read_text()
                    await asyncio.sleep(0.05)  # between attempts to connect
                else:
                    writer.close()
                    return ""

    async def stop_serving(self) -> None:
        """Ctrl-C."""
        if self._server is not None and self._server.returncode is None:
            self._server.send_signal(signal.SIGINT)
            async with asyncio.timeout(PROCESS_SECONDS):
                await self._server.wait()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


ADA: Final = {"USERNAME": "ada", "PASSWORD": "lovelace-1843", "EMAIL": "ada@example.com"}


@pytest.fixture
def tolerated() -> list[str]:
    """`runserver` starts again when a file changes."""
    return [LOST_CONNECTION, "Failed to load resource"]


@pytest_asyncio.fixture(loop_scope="session")
async def reader(tmp_path: Path, site_packages: Path) -> AsyncIterator[Reader]:
    """In front of an empty folder."""
    folder = tmp_path / "empty"
    folder.mkdir()
    (wheel,) = site_packages.parent.glob("*.whl")
    reader = Reader(folder, wheel)
    yield reader
    await reader.stop_serving()


def asks(reader: Reader, step: int) -> str:
    """The command of a step that asks the agent."""
    text = "".join(block.code for block in reader.blocks(step))
    (command,) = re.findall(r"^\$ (.* ask .*)$", text, re.MULTILINE)
    return str(command)


async def end(agent: Process) -> tuple[int | None, str]:
    async with asyncio.timeout(PROCESS_SECONDS):
        output, _ = await agent.communicate()
    return agent.returncode, output.decode()


async def test_the_tutorial(reader: Reader, page: Page) -> None:
    """From an empty folder to a server, in the order of the page."""
    await reader.follow(1)
    await reader.follow(2)
    said = await reader.follow(3)
    assert said.endswith("About your order: 20 euros are on their way.\n")
    await page.goto(reader.url("/admin/"))
    await page.get_by_label("Username").fill(ADA["USERNAME"])
    await page.get_by_label("Password").fill(ADA["PASSWORD"])
    await page.get_by_role("button", name="Log in").click()
    await page.goto(reader.url("/dashboard/traces/"))
    await page.get_by_text("Please refund order 1042").click()
    await expect_state(page, "Ended: success")
    for name in ("help desk", "find_order", "refund"):
        await expect(page.locator(".rows").get_by_text(name, exact=True).first).to_be_visible()
    await page.locator(".rows").get_by_text("find_order", exact=True).first.click()
    await expect(page.locator(".panel")).to_contain_text("[redacted:email]")
    await asked_first(reader, page)
    await stopped(reader, page)
    await deployed(reader)


async def asked_first(reader: Reader, page: Page) -> None:
    """The human pays less."""
    settings, question = reader.blocks(4)
    reader.write(settings.code)
    agent = await reader.begin(asks(reader, 4))
    assert question.code.strip("$ \n") == asks(reader, 4)
    await restarted(reader)
    await page.goto(reader.url("/dashboard/approvals/"))
    card = page.get_by_role("list", name="Waits for you").get_by_role("listitem")
    await expect(card).to_contain_text("refund", timeout=PATIENCE_MS)
    await card.locator("summary").click()
    await card.get_by_label("euros").fill("15")
    await card.get_by_role("button", name="Approve with changes").click()
    code, said = await end(agent)
    assert (code, "15 euros are on their way." in said) == (0, True), said


async def restarted(reader: Reader) -> None:
    """By `runserver`, after the settings have changed."""
    async with asyncio.timeout(PROCESS_SECONDS):
        while reader.log.read_text().count("Starting ASGI/Daphne") < 2:
            await asyncio.sleep(0.05)  # between looks: a server tells nobody
    await reader.serves()


def answered(url: str, headers: dict[str, str]) -> dict[str, str]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        found: dict[str, str] = json.load(answer)
    return found


async def stopped(reader: Reader, page: Page) -> None:
    """A hundred shelves are too many."""
    agent = await reader.begin(asks(reader, 5))
    assert agent.stdout is not None
    async with asyncio.timeout(PROCESS_SECONDS):
        link = (await agent.stdout.readline()).decode().split()[-1]
    await page.goto(link.replace("8000", str(reader.port)))
    await page.get_by_title("Stop the agent").click(timeout=PATIENCE_MS)
    await page.get_by_role("button", name="Ask it to stop").click()
    code, said = await end(agent)
    assert (code, "This run was asked to stop by ada" in said) == (1, True), said


async def deployed(reader: Reader) -> None:
    """As the web server in front of it would ask."""
    await reader.stop_serving()
    await reader.follow(6)
    assert (reader.folder / "static" / "trace_streaming" / "trace-viewer.js").exists()
    headers = {"Host": "desk.example.com", "X-Forwarded-Proto": "https"}
    health = await asyncio.to_thread(answered, reader.url("/ws/health"), headers)
    assert health["status"] == "healthy"
