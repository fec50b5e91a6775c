"""A real server process, a real Chromium, and a run whose events the test hands out one by one."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.live.servers import migrated_file
from tests.live.services import free_port

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "google-chrome", "chromium-browser")
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page whose response a test has changed has no address; Chromium would keep it from the loopback interface.
    "--disable-features=LocalNetworkAccessChecks",
]
IN_A_BROWSER = [pytest.mark.thorough, pytest.mark.asyncio(loop_scope="session")]
"""What tests are marked with that share the browser, and its event loop."""
expect.set_options(timeout=30_000)
PROCESS_SECONDS = 60
"""How long a process may take to start serving, or to end."""


def find_browser() -> str | None:
    """The system's Chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def manage_command(*arguments: str) -> list[str]:
    """The command line of a management command."""
    return [sys.executable, "manage.py", *arguments]


async def finish(process: Process) -> None:
    """Wait until a process has ended well."""
    async with asyncio.timeout(PROCESS_SECONDS):
        output, errors = await process.communicate()
    assert process.returncode == 0, (output + errors).decode()


class Run:
    """A process that emits the lines it is given, each at once, under one trace id."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def emit(self, lines: Iterable[bytes]) -> None:
        """Emit these lines now."""
        assert self._process.stdin is not None
        self._process.stdin.writelines(line.rstrip(b"\n") + b"\n" for line in lines)
        await self._process.stdin.drain()

    async def end(self) -> None:
        """End the trace, and wait until all of it is stored."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await finish(self._process)

    async def stop(self) -> None:
        """End the process if the test has not."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()


class Site:
    """The demonstration site in a process of its own, on its own database and always the same port."""

    def __init__(self, database: Path, log: Path) -> None:
        self._database = database
        self.port = free_port()
        self._log = log
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")},
            "DATABASE_URL": f"sqlite:///{database}",
            "REDIS_URL": "",
        }
        self._server: Process | None = None
        self._started_with: dict[str, str] = {}
        self._runs: list[Run] = []

    def url(self, path: str) -> str:
        """The address of a page."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def start(self, **environment: str) -> None:
        """Start the server, and wait until it takes connections."""
        self._started_with = environment
        with self._log.open("ab") as log:
            self._server = await asyncio.create_subprocess_exec(
                *manage_command("runserver", "--noreload", f"127.0.0.1:{self.port}"),
                cwd=ROOT,
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(PROCESS_SECONDS):
            while not await self._answers():
                assert self._server.returncode is None, self._log.read_text()
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """End the server as a crash would."""
        if self._server is not None and self._server.returncode is None:
            self._server.send_signal(signal.SIGKILL)
            await self._server.wait()

    async def begin_anew(self) -> None:
        """Empty the database; start the server if it does not run as it does by default."""
        if self._server is None or self._server.returncode is not None or self._started_with:
            await self.kill()
            await self.start()
        await asyncio.to_thread(empty, self._database)

    async def stop_runs(self) -> None:
        """End the processes that emit."""
        for run in self._runs:
            await run.stop()
        self._runs.clear()

    async def close(self) -> None:
        """End all processes."""
        await self.stop_runs()
        await self.kill()

    async def play(self, recording: Path, trace_id: str, speed: float = 0) -> None:
        """Emit a whole recording from another process, without pauses or at a multiple of the recorded pace."""
        await self.manage("play_trace", str(recording), "--trace-id", trace_id, "--speed", str(speed))

    async def begin_run(self, trace_id: str, speed: float = 0) -> Run:
        """A process that emits what it is told, when it is told, or at a multiple of the recorded pace."""
        process = await self._spawn("play_trace", "-", "--trace-id", trace_id, "--speed", str(speed))
        self._runs.append(Run(process))
        return self._runs[-1]

    async def manage(self, *arguments: str) -> None:
        """Run a management command to its end."""
        process = await self._spawn(*arguments)
        await finish(process)

    async def _spawn(self, *arguments: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *manage_command(*arguments), cwd=ROOT, env=self.environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


def empty(database: Path) -> None:
    """Forget everything but what the migrations have made."""
    with closing(sqlite3.connect(database, timeout=PROCESS_SECONDS)) as connection, connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            if not table.startswith(("sqlite_", "django_migrations", "django_content_type", "auth_permission")):
                connection.execute(f'DELETE FROM "{table}"')


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The demonstration site of all tests: to start it takes longer than most of them."""
    folder = tmp_path_factory.mktemp("site")
    site = Site(Path(shutil.copy(migrated_file(), folder / "site.sqlite3")), folder / "server.log")
    yield site
    await site.close()


@pytest_asyncio.fixture(loop_scope="session")
async def site(shared_site: Site) -> AsyncIterator[Site]:
    """The running demonstration site; nothing has been emitted yet."""
    await shared_site.begin_anew()
    yield shared_site
    await shared_site.stop_runs()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium, headless, of all tests."""
    executable = find_browser()
    if executable is None:
        pytest.skip(f"No browser: none of {', '.join(BROWSERS)} is installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=BROWSER_ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
def tolerated() -> list[str]:
    """Patterns of console errors that the test provokes; it adds its own."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, tolerated: Sequence[str]) -> AsyncIterator[Page]:
    """An empty page of somebody new, which in the end must have had no error that the test did not provoke."""
    problems: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            problems.append(message.text)

    page = await browser.new_page(viewport={"width": 1280, "height": 800})  # in a context of its own
    page.on("console", listen)
    page.on("pageerror", lambda error: problems.append(f"uncaught: {error}"))
    yield page
    await page.close()
    assert [text for text in problems if not any(re.search(pattern, text) for pattern in tolerated)] == []
