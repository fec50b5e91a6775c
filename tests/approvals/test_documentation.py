"""What the page of approvals shows of decisions that are called, run as it stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from types import ModuleType
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User

from trace_streaming import TraceEmitter
from trace_streaming.approvals import calling
from trace_streaming.approvals.decisions import decide
from trace_streaming.models import Approval, Trace
from trace_streaming.recording.recorder import recorder

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = (Path(__file__).parents[2] / "docs" / "approvals.md").read_text()
BLOCK = re.compile(r"^```python\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The project that the examples are of."""
    modules = {name: ModuleType(f"shop.{name}") for name in ("orders", "tasks")}
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"shop.{name}", module)
    yield modules
    while (thread := calling.caller._thread) is not None:
        thread.join(60)


def run(name: str, **changes: str) -> dict[str, Any]:
    """The names that a block defines."""
    code = dict(BLOCK.findall(PAGE))[name]
    for old, new in changes.items():
        code = code.replace(old, new)
    names: dict[str, Any] = {"__name__": f"approvals.{name}"}
    exec(compile(code, name, "exec"), names)
    return names


def test_who_asks_goes_and_a_task_goes_on(shop: dict[str, ModuleType]) -> None:
    """With what was decided, in the same trace."""
    shipped: Queue[int] = Queue()

    def ship(order: int) -> None:
        shipped.put(order)

    vars(shop["orders"])["ship"] = ship
    task = run("tasks.py")["decided"]
    sent: Queue[tuple[str, str]] = Queue()
    task.delay = lambda *args: sent.put(args)  # there is no broker
    vars(shop["tasks"])["decided"] = task
    run("asking.py")["ask"](7)
    assert recorder.flush(60)
    assert Trace.objects.get().state == "incomplete"
    decide(Approval.objects.get(), "approved", user=User.objects.create_user("ada"), channel="api")
    task.apply(args=sent.get(timeout=60)).get()
    assert shipped.get_nowait() == 7
    assert recorder.flush(60)
    assert Trace.objects.get().state == "success"


def test_a_webhook_is_called(shop: dict[str, ModuleType]) -> None:
    """With both ids; again, while it does not answer well."""
    heard: Queue[Any] = Queue()
    status = [500, 200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.put(orjson.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status.pop(0))
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Not in the tests' output."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            vars(shop["tasks"])["decided"] = run("webhooks.py", **{"https://example.com": url})["decided"]
            emitter = TraceEmitter("order-7")
            approval_id = emitter.ask_approval("ship", on_decision="shop.tasks.decided")
            assert emitter.flush(60)
            approval = Approval.objects.get()
            decide(approval, "approved", user=None, channel="api")
            expected = {"approval": approval_id, "trace": "order-7"}
            assert heard.get(timeout=60) == expected
            while (calls := calling.caller._thread) is not None:
                calls.join(60)
            Approval.objects.update(call_at=approval.requested_at)
            assert calling.call_due() == 1
            assert heard.get(timeout=60) == expected
        finally:
            server.shutdown()
            thread.join(60)
    assert Approval.objects.get().call_at is None
