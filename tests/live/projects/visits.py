"""The same visits to each project: what programs ask at the doors, what people see, and what sockets are told."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Final

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.live.servers import Server
from tests.live.watching import V1, collect, watch

PROXY: Final = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.com"}
"""What a proxy says of the request that it has got."""
JSON: Final = "application/json"
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_LOGIN: Final = """
from importlib import import_module
from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest
from rest_framework.authtoken.models import Token
users = get_user_model()
user = users(is_staff=True, is_superuser=True, **{users.USERNAME_FIELD: "ada@example.com"})
user.set_password("ada")
user.save()
request = HttpRequest()
request.session = import_module(settings.SESSION_ENGINE).SessionStore()
login(request, user, "django.contrib.auth.backends.ModelBackend")
request.session.save()
print(Token.objects.create(user=user).key, settings.SESSION_COOKIE_NAME, request.session.session_key)
"""


@dataclass
class Visitor:
    """Asks over HTTP, as a program with a token, a browser with a session, or nobody."""

    server: Server
    prefix: str = ""
    """Of the addresses that the project tells."""
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    asked: int = 0

    @property
    def proxy(self) -> dict[str, str]:
        """What stands between adds this."""
        return PROXY if self.prefix else {}

    def ask(self, method: str, path: str, *, status: int = 200, headers: Any = None, **body: Any) -> httpx.Response:
        """The answer, which has this status."""
        cookies = (
            {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        )
        sent = {**self.proxy, **self.headers, **cookies, **(headers or {})}
        url = f"http://127.0.0.1:{self.server.port}{path}"
        answer = httpx.request(method, url, headers=sent, timeout=60, **body)
        for text in answer.headers.get_list("set-cookie"):
            self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(text).items()})
        self.asked += 1
        assert answer.status_code == status, (
            method,
            path,
            answer.status_code,
            answer.text[:500],
            self.server.log[-2000:],
        )
        return answer

    def json(self, method: str, path: str, *, status: int = 200, **body: Any) -> Any:
        """The same, of JSON, whose times are all ISO 8601 in UTC."""
        answer = self.ask(method, path, status=status, **body)
        assert answer.headers["content-type"] == JSON, (path, answer.headers)
        told = answer.json()
        check_times(told)
        return told


def check_times(told: object) -> None:
    if isinstance(told, list):
        for value in told:
            check_times(value)
    elif isinstance(told, dict):
        for name, value in told.items():
            if value is not None and (name.endswith("_at") or name in {"from", "to", "now", "timestamp"}):
                assert TIME.fullmatch(value), (name, value)
            check_times(value)


def people_of(server: Server, prefix: str) -> tuple[Visitor, Visitor, Visitor]:
    """A superuser's program, his browser, and nobody."""
    token, cookie, session = server.manage("shell", "-c", _LOGIN).stdout.split()[-3:]
    program = Visitor(server, prefix, {"Authorization": f"Token {token}"})
    return program, Visitor(server, prefix, cookies={cookie: session}), Visitor(server, prefix)


def doors(program: Visitor, nobody: Visitor) -> None:
    """What programs send and read; names, times and errors are ours, whatever the project's are."""
    events = [
        {"event": "plan_created", "timestamp": "2026-01-05T12:00:00Z", "details": {"steps": 3}},
        {"event": "tool_call_start", "details": {"tool": "search", "call_id": "1"}},
        {"event": "tool_call_complete", "status": "success", "details": {"tool": "search", "call_id": "1"}},
    ]
    sent = {"accepted": 3, "stored": True, "errors": []}
    assert program.json("POST", "/api/traces/t/events/", json={"events": events, "name": "Tides"}) == sent
    assert program.json("POST", "/api/traces/t/events", json=events[0]) == {**sent, "accepted": 1}
    assert program.json("POST", "/v1/traces", json=spans()) == {}
    assert "traces" in program.json("GET", "/api/")
    assert {each["trace_id"] for each in program.json("GET", "/api/traces/?name=Tides")["results"]} == {"t"}
    assert len(program.json("GET", "/api/traces/")["results"]) == 2
    assert program.json("GET", "/api/traces?started_before=2000-01-01T00:00:00Z")["results"] == []
    for path in ("/api/traces/t", "/api/traces/t/"):
        trace = program.json("GET", path)
        assert (trace["trace_id"], trace["last_sequence"], trace["owner"]) == ("t", 4, "ada@example.com")
    page = program.json("GET", "/api/traces/t/events?since=1")
    assert [event["sequence"] for event in page["events"]] == [2, 3, 4]
    assert len(program.ask("GET", "/api/traces/t/events?format=jsonl").text.splitlines()) == 4
    assert program.ask("GET", "/api/traces/t/export?format=chrome").json()["traceEvents"]
    assert program.ask("GET", "/api/traces/t/export?format=otlp").json()["resourceSpans"]
    assert program.json("GET", "/api/signals?from=2026-01-05T00:00:00Z&to=2026-01-06T00:00:00Z")["traces"] == 1
    program.json("GET", "/api/signals/series")
    program.json("GET", "/api/signals/tools/")
    assert program.json("GET", "/api/traces/t/signals/")["trace_id"] == "t"
    question = {"approval_id": "a" * 16, "binding": "b" * 64, "action": "send", "arguments": {"recipient": "bob"}}
    asked = program.json("POST", "/api/traces/t/approvals", status=201, json=question)
    assert asked["approval_id"] == "a" * 16, asked
    assert [each["action"] for each in program.json("GET", "/api/approvals/")["approvals"]] == ["send"]
    assert [each["action"] for each in program.json("GET", "/api/traces/t/approvals")] == ["send"]
    assert program.json("POST", "/api/traces/t/ticket", status=201)["expires_in"] == 30
    for path, status, keys in (
        ("/api/traces/none", 404, ["detail"]),
        ("/api/traces/no!/", 400, ["trace_id"]),
        ("/api/traces/?started_before=soon", 400, ["started_before"]),
    ):
        told = program.json("GET", path, status=status)
        assert list(told) == keys, told
    assert "errors" in program.json("POST", "/api/traces/t/events", status=400, json={"event": "nonsense"})
    assert list(program.json("DELETE", "/api/traces/t", status=405)) == ["detail"]
    assert list(program.json("POST", "/api/traces/t/events", status=415, data={"event": "plan_created"})) == ["detail"]
    assert list(program.json("POST", "/api/traces/t/events", status=400, content=b"{", headers={"Content-Type": JSON}))
    for path in ("traces/", "traces/t", "traces/t/events", "signals", "approvals", "traces/t/stream"):
        assert list(nobody.json("GET", f"/api/{path}", status=401)) == ["detail"]
    assert nobody.json("GET", "/ws/health")["status"] == "healthy"
    assert "trace_streaming" in nobody.ask("GET", "/metrics").text


def pages(browser: Visitor, nobody: Visitor, *, has_admin: bool) -> int:
    """What people see, with what belongs to it; and a decision that is made in the page."""
    seen = ["/dashboard/", "/dashboard/traces/", "/dashboard/traces/t", "/dashboard/approvals/"]
    if has_admin:
        model = "/admin/trace_streaming"
        seen += ["/admin/", f"{model}/trace/", f"{model}/trace/?q=t", f"{model}/approval/", f"{model}/event/"]
        trace = re.search(rf"{model}/trace/(\d+)/change/", browser.ask("GET", f"{model}/trace/").text)
        assert trace is not None
        seen.append(trace[0])
    files: set[str] = set()
    for path in seen:
        answer = browser.ask("GET", path)
        assert answer.headers["content-type"].startswith("text/html"), path
        files.update(re.findall(r'(?:src|href)="([^"]*/static/[^"]+)"', answer.text))
        assert f'"{browser.prefix}/dashboard' in answer.text or "/admin/" in path, path
    assert any("trace_streaming" in file for file in files)
    for file in files:
        browser.ask("GET", file.removeprefix(browser.prefix))
    for path in seen[:4]:
        location = nobody.ask("GET", path, status=302).headers["location"]
        assert "/login/?next=" in location, location
    inbox = browser.ask("GET", "/dashboard/approvals/").text
    told = {name: re.search(f'{name}="([^"]*)"', inbox) for name in ("csrf-token", "csrf-header", "approval-url")}
    token, header, url = (found[1] for found in told.values() if found is not None)
    place = url.removeprefix(browser.prefix).replace("TRACE", "t").replace("APPROVAL", "a" * 16)
    decision = {"decision": "rejected", "comment": "no"}
    referred = {header: token, "Referer": "https://example.com/"}
    assert browser.json("POST", place, json=decision, headers=referred)["decision"] == "rejected"
    again = browser.json("POST", place, json={"decision": "approved"}, headers=referred, status=409)
    assert again["detail"]
    return len(seen) + len(files)


async def sockets(program: Visitor) -> int:
    """What is stored, what comes then, a way of saying stop, and who is not let in."""

    def url(**query: object) -> str:
        ticket = program.json("POST", "/api/traces/t/ticket", status=201)["ticket"]
        return program.server.url("t", ticket=ticket, **query)

    async with AsyncExitStack() as stack:
        plain = await watch(stack, await asyncio.to_thread(url, since=0), additional_headers=program.proxy)
        batched = await watch(stack, await asyncio.to_thread(url, since=0), V1, additional_headers=program.proxy)
        for socket in (plain, batched):
            assert [event["sequence"] for event in (await collect(socket, 4))[:4]] == [1, 2, 3, 4]
        await asyncio.to_thread(program.json, "POST", "/api/traces/t/events", json={"event": "route_decision"})
        told = [await _next(socket, "route_decision") for socket in (plain, batched)]
        assert told[0]["details"] == told[1]["details"]
        assert TIME.fullmatch(told[0]["timestamp"])
        await batched.send(json.dumps({"type": "stop", "id": "1", "comment": "enough"}))
        assert (await _next(plain, "stop_requested"))["details"]["comment"] == "enough"
    with_nothing = await connect(program.server.url("t"), additional_headers=program.proxy)
    try:
        await with_nothing.recv()
        await with_nothing.recv()
    except ConnectionClosed as error:
        assert error.rcvd is not None
        assert error.rcvd.code == 4401
    else:
        raise AssertionError("Nobody was let in")
    return 3


async def _next(socket: Any, event: str) -> dict[str, Any]:
    while (found := (await collect(socket, 1))[0])["event"] != event:
        pass
    return found


def stream(program: Visitor) -> None:
    """Server-sent events; and the end of the trace, which ends them."""
    url = f"http://127.0.0.1:{program.server.port}/api/traces/t/stream?since=0"
    ended = program.json("POST", "/api/traces/t/end", json={"state": "success"})
    assert ended["stored"]
    with httpx.stream("GET", url, headers={**program.proxy, **program.headers}, timeout=60) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        text = answer.read().decode()
    assert '"event":"plan_created"' in text
    assert "\n\nevent: ended\n" in text, text[-300:]
    assert program.json("GET", "/api/traces/t")["state"] == "success"
    program.asked += 1


def spans() -> dict[str, Any]:
    """One call of a tool, as OTLP's JSON has it."""
    now = time.time_ns()
    said = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "execute_tool search",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 1000),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in said.items()],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
