"""What the wheel holds beside Python."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from pathlib import Path

import trace_streaming

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_every_template_and_every_static_file() -> None:
    """A folder that nobody names would be missing only where the app is installed."""
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    package = ROOT / "trace_streaming"
    named = settings["options.package_data"]["trace_streaming"].split()
    packed = {path for pattern in named for path in package.glob(pattern) if path.is_file()}
    there = {path for folder in ("static", "templates") for path in (package / folder).rglob("*") if path.is_file()}
    assert there <= packed, sorted(str(path) for path in there - packed)


def test_the_npm_package_has_the_app_s_version() -> None:
    """Both are made of the same modules, and go out together."""
    package = json.loads((ROOT / "packages" / "client" / "package.json").read_bytes())
    assert package["version"] == trace_streaming.__version__


def test_the_changelog_begins_with_this_version() -> None:
    """With its day, or unreleased; and the page about upgrading leads to it."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## (\S+) \((unreleased|\d{4}-\d\d-\d\d)\)$", changelog, re.MULTILINE)
    assert newest
    assert newest[1] == trace_streaming.__version__
    assert f" to {newest[1]}\n" in (ROOT / "docs" / "upgrading.md").read_text()
