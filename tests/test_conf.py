"""Settings, their checks and their page say the same."""

from __future__ import annotations

import re
from ast import literal_eval
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from django.core import mail
from django.test import override_settings
from pytest_django import Settings

from trace_streaming.checks import ids as check_ids
from trace_streaming.conf import PREFIX, SETTING_NAMES, Conf, Limits, conf, parse_rate

PAGE = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()


def test_every_setting_has_its_row_and_its_default(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference lists each setting with the value that the code has, outside of a test run."""
    monkeypatch.delattr(mail, "outbox")
    del settings.TRACE_STREAMING_EXTRA_EVENTS  # the site's own
    del settings.TRACE_STREAMING_PERMISSION_CLASSES  # the site's own
    del settings.TRACE_STREAMING_HEALTH_PERMISSION_CLASSES
    del settings.TRACE_STREAMING_METRICS_PERMISSION_CLASSES
    del settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES
    rows = dict(re.findall(r"^\| `TRACE_STREAMING_(\w+)` \| (.+?) \|", PAGE, re.MULTILINE))
    assert set(rows) == SETTING_NAMES
    for name, default in rows.items():
        value = getattr(Conf(), name)
        assert default.strip("`").replace('"', "'") == (str(value) if not isinstance(value, str) else f"'{value}'")


def test_every_limit_has_its_row_and_its_default() -> None:
    """The same of what one setting changes."""
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", PAGE, re.MULTILINE))
    assert {name: parse_rate(text) if "/" in text else literal_eval(text) for name, text in rows.items()} == vars(
        Limits()
    )


def test_check_ids_are_unique_and_documented() -> None:
    """Each id names one check, for ever."""
    ids = [value for name, value in vars(check_ids).items() if re.fullmatch(r"[EW]\d{3}", name)]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"^\| `(trace_streaming\.[EW]\d{3})`", PAGE, re.MULTILINE)) == set(ids)
    source = "".join(page.read_text() for page in Path(check_ids.__file__).parent.glob("*.py"))
    assert all(source.count(f"id={check.split('.')[1]}") + source.count(f", {check.split('.')[1]})") for check in ids)


def test_a_setting_may_be_overridden_at_any_time() -> None:
    """It is read once, and again when Django says that it has changed."""
    assert conf.QUEUE_SIZE == 100_000
    with override_settings(TRACE_STREAMING_QUEUE_SIZE=7):
        assert conf.QUEUE_SIZE == 7
    assert conf.QUEUE_SIZE == 100_000
    assert PREFIX == "TRACE_STREAMING_"


def test_no_thread_waits_for_another_that_reads_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that is forked meanwhile does not have that other thread, and would wait for ever."""
    is_reading, may_go_on = Event(), Event()

    def read(name: str, default: object) -> object:
        if not is_reading.is_set():
            is_reading.set()
            assert may_go_on.wait(60)
        return default

    monkeypatch.setattr(Conf, "_get", staticmethod(read))
    fresh = Conf()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(lambda: fresh.QUEUE_SIZE)
        try:
            assert is_reading.wait(60)
            assert pool.submit(lambda: fresh.QUEUE_SIZE).result(5) == 100_000
        finally:
            may_go_on.set()
