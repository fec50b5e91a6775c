"""Every block of code of the documentation is run, or says why not."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections
from django.template import Context, Template
from django.test import RequestFactory, override_settings
from pytest_django import Settings

from trace_streaming import events_recorded
from trace_streaming.approvals.decisions import decide
from trace_streaming.models import Approval
from trace_streaming.wire.batches import Batch

from .pages import PAGES, ROOT, Block, blocks, name_of

MAKEFILE = (ROOT / "Makefile").read_text()
ALL = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in ALL if block.language == "python"]
RUN_HERE = [page for page in PAGES if any(b.page == page and not b.run_by and not b.reason for b in PYTHON)]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles(block: Block) -> None:
    """Whether or not it can be run."""
    compile(block.code, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.fixture
def _signals_go_where_they_went() -> Iterator[None]:
    """Whatever a page connects."""
    from trace_streaming import signals

    ours = [value for value in vars(signals).values() if hasattr(value, "receivers")]
    before = [list(signal.receivers) for signal in ours]
    yield
    for signal, receivers in zip(ours, before, strict=True):
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_signals_go_where_they_went")
@pytest.mark.parametrize("page", RUN_HERE, ids=name_of)
def test_a_page_runs_from_its_top_to_its_end(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one namespace, as a reader would try it in a project's shell; settings that it shows are ones that hold."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    someone = Someone()
    names: dict[str, Any] = {"__name__": "page", "monkeypatch": monkeypatch, "human": someone.says}
    for block in blocks(page):
        if block.language != "python" or block.run_by or block.reason:
            continue
        for number, code in enumerate((block.before, block.code, block.then)):
            known = dict(names)
            run("\n" * (block.line * (number == 1)) + code, str(block), names)
            if number == 1:
                hold({name: value for name, value in names.items() if known.get(name) is not value})
    someone.says(None)


def run(code: str, where: str, names: dict[str, Any]) -> None:
    """What is awaited at the top is awaited."""
    result = eval(compile(code, where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def hold(names: dict[str, Any]) -> None:
    """No check has anything to say of the settings among them."""
    ours = {name: value for name, value in names.items() if name.startswith("TRACE_STREAMING_")}
    with override_settings(**ours):
        assert run_checks() == []


class Someone:
    """Decides what is asked, as soon as it is stored."""

    def __init__(self) -> None:
        self._says: str | None = None
        self._threads: list[Thread] = []

    def says(self, decision: str | None) -> None:
        """From now on; None: nothing."""
        self._says = decision
        (events_recorded.disconnect if decision is None else events_recorded.connect)(self.hear)
        while self._threads:
            self._threads.pop().join(60)

    def hear(self, batches: list[Batch], **kwargs: Any) -> None:
        """In the writer's thread, which does not wait for him."""
        for event in [event for batch in batches for event in batch.events]:
            told = json.loads(event.text)
            if told["event"] == "approval_requested" and self._says:
                asked = told["details"]["approval_id"], self._says
                self._threads.append(Thread(target=self._decide, args=asked))
                self._threads[-1].start()

    @staticmethod
    def _decide(approval_id: str, decision: str) -> None:
        decide(Approval.objects.get(approval_id=approval_id), decision, user=None, channel="api")
        connections.close_all()


@pytest.mark.django_db
@pytest.mark.parametrize("block", [b for b in ALL if b.language == "console" and not b.run_by], ids=str)
def test_a_terminal_s_lines_are_there(block: Block, settings: Settings) -> None:
    """Commands of the project run; make has the target, and the package the extra."""
    settings.SILENCED_SYSTEM_CHECKS = ["mail.E001"]  # Django 6.1's, of the mailer that Django's test runner sets
    for line in re.findall(r"^\$ (.*?)(?: +#.*)?$", block.code, re.MULTILINE):
        words = shlex.split(line)
        if words[:2] == ["python", "manage.py"]:
            call_command(*words[2:])
        elif words[0] == "make":
            assert all(re.search(rf"^{word}:", MAKEFILE, re.MULTILINE) for word in words[1:])
        elif words[:2] == ["pip", "install"]:
            assert words[-1].startswith("django-trace-streaming")
        elif words[:2] == ["npm", "install"]:
            package = json.loads((ROOT / "packages" / "client" / "package.json").read_text())
            assert words[2] == package["name"]
        else:
            assert words[0] == "export" or (ROOT / words[0]).exists(), line


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "html" and "{%" in b.code], ids=str)
def test_templates_render(block: Block, rf: RequestFactory) -> None:
    """With a trace's id."""
    assert "<trace-viewer" in Template(block.code).render(Context({"trace_id": "t-1", "request": rf.get("/")}))


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "json"], ids=str)
def test_json_is_json(block: Block) -> None:
    """With nothing left out."""
    json.loads(block.code)


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "yaml"], ids=str)
def test_yaml_is_yaml(block: Block) -> None:
    """Of other programs' files."""
    assert yaml.safe_load(block.code)


@pytest.mark.parametrize("block", [block for block in ALL if block.language in ("js", "javascript")], ids=str)
def test_javascript_is_javascript(block: Block, tmp_path: Path) -> None:
    """As node reads a module."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    module = tmp_path / "block.mjs"
    module.write_text(block.code)
    done = subprocess.run([node, "--check", module], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_what_another_test_runs_is_named_there() -> None:
    """The test is there, and reads the page."""
    for block in ALL:
        if block.run_by:
            text = (ROOT / block.run_by).read_text()
            assert block.page.stem in text, f"{block} is not in {block.run_by}"
            if block.page.parent.name == "integrations" and block.language == "python":
                assert f'"{block.code.split()[1]}"' in text, f"{block} is not run by {block.run_by}"


LANGUAGES = {"python", "console", "json", "yaml", "js", "javascript", "tsx", "html", "css", "text"}


def test_every_block_says_what_it_is() -> None:
    """So that it is read as that, here and on the page."""
    assert [str(block) for block in ALL if block.language not in LANGUAGES] == []


def test_few_blocks_cannot_be_run() -> None:
    """Each says why; one more is a decision."""
    reasons = {str(block): block.reason for block in ALL if block.reason}
    assert all(re.fullmatch(r".{10,}", reason) for reason in reasons.values())
    assert len(reasons) <= 5, reasons
