"""Whoever does not look is told what waits, and what has failed: by mail and by webhook, until he has it."""

from __future__ import annotations

import base64
import hmac
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from smtplib import SMTPRecipientsRefused
from typing import Any

import orjson
import pytest
from django.core import mail
from django.core.management import call_command
from pytest_django import Settings

from tests.stopping.test_stopping import until
from trace_streaming import TraceEmitter
from trace_streaming.checks import check_settings
from trace_streaming.models import Approval, Notification, Trace, stored_now
from trace_streaming.notifying import telling, ways
from trace_streaming.notifying.telling import tell_due

pytestmark = pytest.mark.django_db(transaction=True)


class Receiver(ThreadingHTTPServer):
    """Of webhooks: keeps what it gets, and answers what it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/services/T0/B0/secret"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers.items()), body))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    until(lambda: not telling.teller.is_running)


@pytest.fixture
def inline(settings: Settings) -> None:
    """Nobody is told but by who is asked to."""
    settings.TRACE_STREAMING_RECORDER = "inline"


def ask(**question: Any) -> str:
    told = {"tool_name": "mail", "risk_level": "high", "arguments": {"password": "hunter2"}, **question}
    emitter = TraceEmitter("t", name="Weekly <digest>")
    asked = emitter.ask_approval("send_email", **told)
    assert emitter.flush(60)
    return asked


def fail(trace_id: str = "t") -> None:
    emitter = TraceEmitter(trace_id)
    emitter.emit("plan_created", {"token": "sk-1"})
    emitter.end("error")
    assert emitter.flush(60)


def test_what_waits_and_what_has_failed_is_told_at_once(settings: Settings, receiver: Receiver) -> None:
    """By the process that has noted it, to all who are named for that; with a link to the page, and no argument."""
    settings.TRACE_STREAMING_NOTIFY = {
        "site": "https://example.com/",
        "approvals": [receiver.url, "mailto:ops@example.com"],
        "failures": ["mailto:ops@example.com"],
    }
    ask()
    until(lambda: len(receiver.got) == 1 and len(mail.outbox) == 1)
    fail("other")
    until(lambda: len(mail.outbox) == 2)
    text = orjson.loads(receiver.got[0][1])["text"]
    assert text.startswith("Weekly &lt;digest&gt; asks for send_email (high risk), until 2")
    assert text.endswith("https://example.com/dashboard/traces/t")
    assert "hunter2" not in text
    waits, failed = mail.outbox
    assert (waits.to, waits.subject) == (["ops@example.com"], "Waits for approval: send_email (high risk)")
    assert "https://example.com/dashboard/traces/t" in str(waits.body)
    assert failed.subject == "Failed: other"
    until(lambda: not Notification.objects.exists())


@pytest.mark.usefixtures("inline")
def test_a_test_run_tells_nobody_by_itself(settings: Settings) -> None:
    """``manage.py send_notifications`` does; each is told once."""
    settings.TRACE_STREAMING_NOTIFY = {"site": "http://a", "failures": ["mailto:a@b"]}
    fail()
    assert mail.outbox == []
    call_command("send_notifications")
    call_command("send_notifications")
    assert len(mail.outbox) == 1


@pytest.mark.usefixtures("inline")
def test_nothing_is_noted_where_nobody_is_to_be_told() -> None:
    """The default."""
    fail()
    ask()
    assert not Notification.objects.exists()


@pytest.mark.usefixtures("inline")
def test_what_is_over_is_not_told(settings: Settings) -> None:
    """An approval that was decided, a trace that goes on or was deleted, an address that was taken out."""
    both = {"site": "http://a", "approvals": ["mailto:a@b"], "failures": ["mailto:a@b"]}
    settings.TRACE_STREAMING_NOTIFY = both
    ask()
    Approval.objects.update(decision="approved")
    fail("goes-on")
    TraceEmitter("goes-on").emit("plan_created")
    fail("deleted")
    Trace.objects.filter(trace_id="deleted").delete()
    assert Notification.objects.count() == 3
    assert tell_due() == 0
    assert not Notification.objects.exists()
    fail("z")
    settings.TRACE_STREAMING_NOTIFY = {"site": "http://a", "failures": ["mailto:c@d"]}
    assert tell_due() == 0
    assert (mail.outbox, Notification.objects.count()) == ([], 0)


@pytest.mark.usefixtures("inline")
def test_what_a_mail_server_says_is_not_logged(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold addresses, or what it was told."""

    def refuse(*args: object) -> None:
        raise SMTPRecipientsRefused({"ops@acme.org": (550, b"no such user")})

    monkeypatch.setattr("trace_streaming.notifying.ways.tell", refuse)
    settings.TRACE_STREAMING_NOTIFY = {"site": "http://a", "failures": ["mailto:ops@acme.org"]}
    fail()
    assert tell_due() == 0
    assert "Notifying by mail fails (SMTPRecipientsRefused); told again later" in caplog.text
    assert "ops@acme.org" not in caplog.text


@pytest.mark.usefixtures("inline")
def test_what_fails_is_told_again_and_what_is_refused_is_not(
    settings: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Later and later, for a day; the address is written nowhere. No redirect is followed."""
    settings.TRACE_STREAMING_NOTIFY = {"site": "http://a", "failures": [receiver.url]}
    fail()
    for status, wait in ((503, 5), (302, 30), (429, 120)):
        receiver.status = status
        before = stored_now()
        assert tell_due() == 0
        noted = Notification.objects.get()
        assert timedelta(seconds=wait - 1) < noted.due_at - before < timedelta(seconds=wait + 5)
        assert tell_due() == 0  # it is not due
        Notification.objects.update(due_at=before - timedelta(seconds=1))
    assert len(receiver.got) == 3
    assert "secret" not in caplog.text
    assert "secret" not in str(Notification.objects.values())
    receiver.status = 410
    assert tell_due() == 0
    assert not Notification.objects.exists()
    fail("u")
    receiver.status = 503
    Notification.objects.update(noted_at=stored_now() - timedelta(days=2))
    assert tell_due() == 0
    assert not Notification.objects.exists()


@pytest.mark.usefixtures("inline")
def test_who_does_not_answer_delays_nobody_else(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for once, and not with each of what it is to be told; it is told later."""
    monkeypatch.setattr(ways, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        settings.TRACE_STREAMING_NOTIFY = {"site": "http://a", "failures": [away, receiver.url]}
        for trace_id in "tuv":
            fail(trace_id)
        assert tell_due() == 3
        silent.settimeout(60)
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert len(receiver.got) == 3
    assert [noted.attempts for noted in Notification.objects.all()] == [1, 1, 1]
    assert not telling.due().exists()


@pytest.mark.usefixtures("inline")
def test_what_a_webhook_says_is_not_waited_for(settings: Settings) -> None:
    """Its status is an answer: what follows may have no end."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            asked, _ = server.accept()
            with asked:
                asked.recv(65536)
                asked.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nmore")
                is_told.wait(60)

        is_told = threading.Event()
        answering = threading.Thread(target=answer)
        answering.start()
        settings.TRACE_STREAMING_NOTIFY = {
            "site": "http://a",
            "failures": [f"http://127.0.0.1:{server.getsockname()[1]}/"],
        }
        fail()
        assert tell_due() == 1
        is_told.set()
        answering.join(60)


@pytest.mark.usefixtures("inline")
def test_a_webhook_is_signed(settings: Settings, receiver: Receiver) -> None:
    """As Standard Webhooks has it; the same message has the same id, however often it is told."""
    key = b"0123456789abcdef01234567"
    secret = f"whsec_{base64.b64encode(key).decode()}"
    settings.TRACE_STREAMING_NOTIFY = {"site": "http://a", "failures": [receiver.url], "secret": secret}
    fail()
    receiver.status = 500
    tell_due()
    Notification.objects.update(due_at=stored_now() - timedelta(seconds=1))
    receiver.status = 204
    assert tell_due() == 1
    (first, _), (headers, body) = receiver.got
    told = {name.lower(): value for name, value in headers.items()}
    content = f"{told['webhook-id']}.{told['webhook-timestamp']}.".encode() + body
    assert told["webhook-signature"] == f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}"
    assert {name.lower(): value for name, value in first.items()}["webhook-id"] == told["webhook-id"]


@pytest.mark.usefixtures("inline")
def test_nobody_else_tells_what_is_being_told(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor tells again too early, where the clock of whoever tells is behind the database's."""
    settings.TRACE_STREAMING_NOTIFY = {"site": "http://a", "failures": [receiver.url]}
    fail()
    monkeypatch.setattr(telling, "stored_now", lambda: stored_now() - timedelta(minutes=10))
    told_by_others: list[int] = []
    monkeypatch.setattr(ways, "tell", lambda *message: told_by_others.append(tell_due()))
    assert tell_due() == 1
    assert told_by_others == [0]


@pytest.mark.usefixtures("inline")
def test_who_tells_it_is_one(settings: Settings) -> None:
    """Of two processes that look at the same moment."""
    settings.TRACE_STREAMING_NOTIFY = {"site": "http://a", "failures": ["mailto:a@b"]}
    fail()
    noted = Notification.objects.get()
    assert telling._tell(noted, "mailto:a@b", set())
    assert not telling._tell(noted, "mailto:a@b", set())
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"sites": "http://a"},
        {"site": "http://a", "approvals": "mailto:a@b"},
        {"site": "http://a", "approvals": ["a@b"]},
        {"site": "http://a", "failures": ["file:///etc/passwd"]},
        {"approvals": ["mailto:a@b"]},
        {"site": "example.com", "failures": ["mailto:a@b"]},
        {"site": "http://a", "failures": ["https://ada:fog-7731-elm@example.com/"]},
        {"site": "http://a", "failures": ["https://example.com/für"]},
        {"site": "http://a", "failures": ["https:///hook"]},
        {"site": "http://a", "secret": 7},
        {"site": "http://a", "secret": "whsec_"},
        {"site": "http://a", "secret": "whsec_abc"},
        {"site": "http://a", "secret": "whsec_!!!!"},
        ["mailto:a@b"],
    ],
)
def test_a_wrong_setting_is_told_and_breaks_nothing(settings: Settings, wrong: Any) -> None:
    """At start; events are stored all the same."""
    settings.TRACE_STREAMING_NOTIFY = wrong
    assert [message.id for message in check_settings(None)] == ["trace_streaming.E014"]
    fail()
    assert Trace.objects.get().state == "error"


def test_what_waits_is_told_in_the_order_that_it_is_in(settings: Settings) -> None:
    """Invariant 14. Who is asked to allow annexexe.pdf would allow a program."""
    settings.TRACE_STREAMING_NOTIFY = {"site": "https://example.com", "approvals": ["mailto:ops@example.com"]}
    TraceEmitter("t", name="\u2067weekly").ask_approval("open annex\u202efdp.exe")
    until(lambda: len(mail.outbox) == 1)
    assert mail.outbox[0].subject == "Waits for approval: open annex\\u202efdp.exe (medium risk)"
    assert "\\u2067weekly asks for open annex\\u202efdp.exe" in mail.outbox[0].body
