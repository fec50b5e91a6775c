"""The app's pages and their static files: served in development, and missed with a word on how to mend it."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.live.servers import Server, started

PAGES = ("/dashboard/", "/dashboard/traces/", "/dashboard/approvals/", "/dashboard/traces/t")


@pytest.fixture(params=["runserver", "daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    yield from started(request.param, tmp_path)


def read(site: Server, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}{path}", timeout=60) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, ""


def test_pages_have_their_files_or_say_how_to_get_them(site: Server) -> None:
    """``runserver`` serves the files; a server by itself does not, and then nobody replaces what the page says."""
    files = set()
    for path in PAGES:
        status, page = read(site, path)
        assert status == 200
        assert "collectstatic puts them into STATIC_ROOT" in page
        assert "has to serve them under /static/" in page
        found = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
        assert any(name.endswith(".js") for name in found)
        files |= found
    assert {read(site, file)[0] for file in files} == {200 if site.kind == "runserver" else 404}
