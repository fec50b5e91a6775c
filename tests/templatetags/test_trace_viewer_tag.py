"""``{% trace_viewer %}``."""

from __future__ import annotations

from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.template import Context, Template
from django.urls import set_script_prefix


class Tags(HTMLParser):
    """The attributes of each tag, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] = dict(attrs)


def render(tag: str, **context: Any) -> dict[str, dict[str, str | None]]:
    return Tags(Template(f"{{% load trace_streaming %}}{tag}").render(Context(context))).found


def test_the_tag_loads_the_module_and_names_the_trace() -> None:
    """The module is there, and the address is that of the trace's socket."""
    tags = render("{% trace_viewer trace_id %}", trace_id="a:b@c.d~e-f")
    assert tags["script"] == {"type": "module", "src": "/static/trace_streaming/trace-viewer.js"}
    assert tags["trace-viewer"] == {"trace-id": "a:b@c.d~e-f", "url": "/ws/traces/a:b@c.d~e-f"}
    assert finders.find("trace_streaming/trace-viewer.js")


def test_whatever_is_given_stays_inside_its_attribute() -> None:
    """A trace id that is none becomes no markup, and no other path."""
    tags = render("{% trace_viewer trace_id theme=theme %}", trace_id='"><img src=x>/../?', theme='"><b>')
    assert set(tags) == {"script", "trace-viewer"}
    assert tags["trace-viewer"] == {
        "trace-id": '"><img src=x>/../?',
        "url": "/ws/traces/%22%3E%3Cimg%20src%3Dx%3E%2F..%2F%3F",
        "theme": '"><b>',
    }


def test_attributes_and_another_address() -> None:
    """``_`` becomes ``-``."""
    tags = render('{% trace_viewer "t" url="wss://other.example/t" deep_link="off" %}')
    assert tags["trace-viewer"] == {"trace-id": "t", "url": "wss://other.example/t", "deep-link": "off"}


@pytest.mark.parametrize(
    "context", [{"csp_nonce": "n0"}, {"request": SimpleNamespace(csp_nonce="n0")}], ids=["context", "request"]
)
def test_the_nonce_of_a_policy_is_used(context: dict[str, Any]) -> None:
    """For the module, and for the sheet that the element loads."""
    tags = render('{% trace_viewer "t" %}', **context)
    assert tags["script"]["nonce"] == tags["trace-viewer"]["nonce"] == "n0"


def test_a_site_below_a_path() -> None:
    """The socket is below it, too."""
    set_script_prefix("/sub/")
    try:
        assert render('{% trace_viewer "t" %}')["trace-viewer"]["url"] == "/sub/ws/traces/t"
    finally:
        set_script_prefix("/")
