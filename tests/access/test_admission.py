"""Who comes in, from which pages, and who must leave again."""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, OperationalError
from django.http import HttpRequest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    IsAdminUser,
    IsAuthenticated,
    IsAuthenticatedOrReadOnly,
)
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import AccessToken

from tests.access.handshakes import HOST, basic, cookie, handshake, log_in
from trace_streaming.access.admission import (
    EXPIRED,
    NOT_ALLOWED,
    admit,
    admit_together,
    can_be_asked_together,
    has_allowed_origin,
    judge,
)
from trace_streaming.access.authentication import Handshake
from trace_streaming.access.tickets import issue
from trace_streaming.exceptions import ProtocolError
from trace_streaming.models import Trace
from trace_streaming.permissions import MayViewTraces
from trace_streaming.wire.protocol import FAILED, Ending

pytestmark = pytest.mark.django_db

ELSEWHERE = "https://evil.example"


@pytest.fixture(autouse=True)
def _closed(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = [HOST]
    del settings.TRACE_STREAMING_PERMISSION_CLASSES
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        f"{__name__}.TokenInCookie",
        f"{__name__}.Broken",
    ]


@pytest.fixture
def ada(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("ada", password="pass")


@pytest.fixture(autouse=True)
def trace(ada: User) -> Trace:
    return Trace.objects.create(trace_id="t", owner=ada, started_at=timezone.now(), last_event_at=timezone.now())


class TokenInCookie(BaseAuthentication):
    """As some packages keep JSON Web Tokens: no session, and sent by browsers all the same."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        name = request.COOKIES.get("token")
        return name and (User.objects.get(username=name), name)  # type: ignore[return-value]


class Broken(BaseAuthentication):
    """Has a bug, or asks something that does not answer."""

    error: Exception | None = None

    def authenticate(self, request: Request) -> None:
        if self.error is not None and "X-Broken" in request.headers:
            raise self.error


def refusal(scope: dict[str, Any], trace_id: str = "t") -> tuple[int, str]:
    with pytest.raises(ProtocolError) as error:
        admit(scope, trace_id)
    return error.value.code, error.value.message


def ticket_for(user: Any, trace_id: str = "t") -> str:
    request = Request(HttpRequest())
    request.user, request.auth = user, None
    return issue(request, trace_id)


@pytest.mark.parametrize(
    ("origin", "allowed", "secure", "is_allowed"),
    [
        (f"http://{HOST}", [], False, True),
        (f"https://{HOST}", [], True, True),
        (f"http://{HOST}", [], True, False),
        (f"http://{HOST}:8001", [], False, False),
        (f"http://{HOST}:80", [], False, True),
        (f"https://{HOST}:443", [], False, True),
        (f"https://{HOST}:80", [], False, False),
        (f"http://{HOST.upper()}.", [], False, True),
        (f"ftp://{HOST}", [], False, False),
        (f"http://{HOST}.evil.example", [], False, False),
        (f"http://evil.example/{HOST}", [], False, False),
        (f"http://{HOST}@evil.example", [], False, False),
        (ELSEWHERE, [], False, False),
        (ELSEWHERE, ["https://evil.example"], False, True),
        (ELSEWHERE, ["https://.example"], False, True),
        (ELSEWHERE, ["http://evil.example"], False, False),
        (ELSEWHERE, ["*"], False, True),
        ("null", [], False, False),
        ("null", ["https://null.example"], False, False),
        ("", [], False, False),
        ("file://", [], False, False),
        ("http://[", ["https://a.example"], False, False),
        ("http://h:99999", ["http://h"], False, False),
        (f"http://{HOST},http://evil.example", [], False, False),
    ],
)
def test_whose_pages_may_use_cookies(
    settings: Settings, origin: str, allowed: list[str], secure: bool, is_allowed: bool
) -> None:
    """Those of the same host, not over a weaker scheme, and those that are listed."""
    settings.TRACE_STREAMING_ALLOWED_ORIGINS = allowed
    assert has_allowed_origin(handshake(origin=origin, secure=secure)) is is_allowed


@pytest.mark.parametrize(
    ("host", "origin", "is_own"),
    [
        ("example.com:443", "https://example.com", True),
        ("example.com:80", "http://example.com", True),
        ("EXAMPLE.com", "https://example.com", True),
        ("example.com.", "https://example.com", True),
        ("example.com:443", "http://example.com", False),
        ("example.com:8443", "https://example.com", False),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("[::1]", "http://[::1]", True),
        ("[::1]:8000", "http://[::2]:8000", False),
        ("[0:0:0:0:0:0:0:1]:80", "http://[::1]", True),
    ],
)
def test_a_usual_port_need_not_be_named(settings: Settings, host: str, origin: str, is_own: bool) -> None:
    """As browsers and proxies write it, or do not."""
    settings.ALLOWED_HOSTS = ["example.com", "[::1]", "[0:0:0:0:0:0:0:1]"]
    assert has_allowed_origin(handshake(host=host, origin=origin)) is is_own


def test_a_host_that_is_not_ours_has_no_pages() -> None:
    """The handshake's own Host is not believed (DNS rebinding)."""
    assert not has_allowed_origin(handshake(host="evil.example", origin="http://evil.example"))


class TestCrossOrigin:
    """Cross-site WebSocket hijacking: a page elsewhere has its visitor's browser connect."""

    def test_sessions_are_refused(self, ada: User) -> None:
        scope = handshake(cookie=cookie(log_in(ada)), origin=ELSEWHERE)
        code, message = refusal(scope)
        assert code == 4403
        assert all(name in message for name in ("TRACE_STREAMING_ALLOWED_ORIGINS", "ALLOWED_HOSTS", "proxy"))

    def test_tokens_in_cookies_are_refused(self) -> None:
        assert admit(handshake(cookie="token=ada"), "t")
        assert refusal(handshake(cookie="token=ada", origin=ELSEWHERE))[0] == 4403

    def test_users_of_middlewares_are_refused(self, ada: User) -> None:
        assert refusal(handshake(origin=ELSEWHERE) | {"user": ada})[0] == 4403

    def test_remembered_passwords_are_refused(self) -> None:
        """Browsers send those of Basic authentication by themselves, too."""
        header = basic("ada", "pass")
        assert admit(handshake(authorization=header), "t")
        assert refusal(handshake(authorization=header, origin=ELSEWHERE))[0] == 4403

    def test_tokens_are_served_without_the_cookies(self, ada: User) -> None:
        """A page does not have what it was not given."""
        eve = User.objects.create_user("eve")
        token = f"Bearer {AccessToken.for_user(ada)}"
        scope = handshake(authorization=token, cookie=cookie(log_in(eve)), origin=ELSEWHERE)
        assert admit(scope, "t")[1] == ada

    def test_tickets_are_served(self, ada: User) -> None:
        assert admit(handshake(query=f"ticket={ticket_for(ada)}", origin=ELSEWHERE), "t")[1] == ada

    def test_allowed_pages_are_served(self, ada: User, settings: Settings) -> None:
        settings.TRACE_STREAMING_ALLOWED_ORIGINS = [ELSEWHERE]
        assert admit(handshake(cookie=cookie(log_in(ada)), origin=ELSEWHERE), "t")[1] == ada


def test_clients_without_an_origin_are_served(ada: User) -> None:
    """They are no browsers."""
    assert admit(handshake(cookie=cookie(log_in(ada))), "t")[1] == ada


@pytest.mark.parametrize("place", ["query", "subprotocol"])
def test_a_ticket_lets_in_once(ada: User, place: str) -> None:
    """In the query, or in a subprotocol that is never answered with."""
    token = ticket_for(ada)

    def scope() -> dict[str, Any]:
        if place == "query":
            return handshake(query=f"since=0&ticket={token}")
        return handshake(subprotocols=("trace-stream.v1", f"ticket.{token}"))

    assert admit(scope(), "t")[1] == ada
    assert refusal(scope())[0] == 4401


def test_a_ticket_does_not_outlive_the_permission(ada: User) -> None:
    """Between the ticket and its socket somebody may have taken it away."""
    token = ticket_for(ada)
    Trace.objects.update(owner=None)
    assert refusal(handshake(query=f"ticket={token}"))[0] == 4403


def test_strangers_learn_nothing() -> None:
    """Whether there is such a trace, for instance."""
    assert refusal(handshake()) == refusal(handshake(), "no such trace") == (4401, "Log in to watch this trace")


def malformed() -> DatabaseError:
    """As Django raises it of a damaged file of SQLite."""
    error = DatabaseError("malformed")
    error.__cause__ = sqlite3.DatabaseError("malformed")
    error.__cause__.sqlite_errorname = "SQLITE_CORRUPT"
    return error


class TestJudge:
    """The same handshakes, asked again while their sockets are open."""

    def ending(self, scope: dict[str, Any], trace_id: str = "t") -> Ending | None:
        return judge([(Handshake(scope), trace_id)])[0]

    def test_who_may_stays(self, ada: User) -> None:
        assert self.ending(handshake(cookie=cookie(log_in(ada)))) is None

    def test_a_session_that_ends(self, ada: User) -> None:
        scope = handshake(cookie=cookie(log_in(ada)))
        Session.objects.all().delete()
        assert self.ending(scope) == EXPIRED

    def test_a_token_that_expires(self, ada: User) -> None:
        token = AccessToken.for_user(ada)
        token.set_exp(from_time=token.current_time.replace(year=2000))
        assert self.ending(handshake(authorization=f"Bearer {token}")) == EXPIRED

    def test_an_owner_who_is_none_any_more(self, ada: User) -> None:
        Trace.objects.update(owner=None)
        assert self.ending(handshake(cookie=cookie(log_in(ada)))) == NOT_ALLOWED

    def test_a_permission_that_is_taken_away(self) -> None:
        eve = User.objects.create_user("eve")
        permission = Permission.objects.get(codename="view_trace")
        eve.user_permissions.add(permission)
        scope = handshake(cookie=cookie(log_in(eve)))
        assert self.ending(scope) is None
        eve.user_permissions.remove(permission)
        assert self.ending(scope) == NOT_ALLOWED

    def test_a_trace_that_is_gone(self, ada: User) -> None:
        Trace.objects.all().delete()
        assert self.ending(handshake(cookie=cookie(log_in(ada)))) == NOT_ALLOWED

    def test_one_who_cannot_be_asked_does_not_keep_the_others_from_it(
        self, ada: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """He is sent away, to come back with an answer; his token is not logged."""
        monkeypatch.setattr(Broken, "error", ValueError("token abc"))
        key = log_in(ada)
        broken, gone = handshake(x_broken="1"), handshake(cookie=cookie("x" * 32))
        good = handshake(cookie=cookie(key))
        assert judge([(Handshake(scope), "t") for scope in (broken, gone, good)]) == [FAILED, EXPIRED, None]
        assert "ValueError" in caplog.text
        assert "abc" not in caplog.text
        assert caplog.records[-1].levelno == logging.ERROR

    @pytest.mark.parametrize("error", [OperationalError("away"), malformed()], ids=repr)
    def test_a_database_that_is_away_takes_nothing_from_anybody(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        monkeypatch.setattr(Broken, "error", error)
        with pytest.raises(type(error)):
            self.ending(handshake(x_broken="1"))

    def test_traces_are_asked_for_together(self, ada: User, django_assert_num_queries: Any) -> None:
        """One query for all; here, without credentials, it is the only one."""
        with django_assert_num_queries(1):
            judge([(Handshake(handshake()), f"t{n}") for n in range(50)])


KNOWN = ["SessionAuthentication", "BasicAuthentication"]


class TestJudgeTogether(TestJudge):
    """The same answers where only known classes look, and nobody needs a request."""

    @pytest.fixture(autouse=True)
    def _known(self, _closed: None, settings: Settings) -> None:
        settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [f"rest_framework.authentication.{name}" for name in KNOWN]
        assert can_be_asked_together()

    test_a_token_that_expires = None  # type: ignore[assignment]
    test_one_who_cannot_be_asked_does_not_keep_the_others_from_it = None  # type: ignore[assignment]
    test_a_database_that_is_away_takes_nothing_from_anybody = None  # type: ignore[assignment]

    def test_a_password_that_is_wrong(self, ada: User) -> None:
        """What shows more than a session is asked alone, beside the others."""
        good, bad = (handshake(authorization=basic("ada", word)) for word in ("pass", "guess"))
        session = handshake(cookie=cookie(log_in(ada)))
        assert judge([(Handshake(scope), "t") for scope in (bad, good, session)]) == [EXPIRED, None, None]

    def test_some_queries_judge_and_admit_any_number(self, ada: User, django_assert_num_queries: Any) -> None:
        """Sessions, users, traces: one query each."""
        shown = [(Handshake(handshake(cookie=cookie(log_in(ada)))), "t") for _ in range(20)]
        with django_assert_num_queries(3):
            assert judge(shown) == [None] * 20
        with django_assert_num_queries(3):
            assert admit_together(shown) == [(credentials, ada) for credentials, _ in shown]

    def test_admitted_together_and_alone_are_answered_alike(self, ada: User, settings: Settings) -> None:
        """Each of them, whatever becomes of the others."""
        eve = User.objects.create_user("eve")
        scopes = [
            handshake(cookie=cookie(log_in(ada))),
            handshake(cookie=cookie(log_in(eve))),
            handshake(),
            handshake(cookie=cookie(log_in(ada)), origin=ELSEWHERE),
            handshake(cookie=cookie("x" * 32)),
            handshake(cookie=cookie(log_in(ada)), host="evil.example"),
        ]
        asked = [(scope, trace_id) for scope in scopes for trace_id in ("t", "no such trace")]
        together = admit_together([(Handshake(scope), trace_id) for scope, trace_id in asked])
        assert list(map(said, together)) == [answer(dict(scope), trace_id) for scope, trace_id in asked]

    @pytest.mark.parametrize("kind", [AllowAny, IsAuthenticated, IsAuthenticatedOrReadOnly, IsAdminUser, MayViewTraces])
    def test_policies_that_look_at_the_user_alone(self, ada: User, settings: Settings, kind: type) -> None:
        settings.TRACE_STREAMING_PERMISSION_CLASSES = [f"{kind.__module__}.{kind.__name__}"]
        staff = User.objects.create_superuser("staff")
        scopes = [handshake(), *(handshake(cookie=cookie(log_in(user))) for user in (ada, staff))]
        assert can_be_asked_together()
        together = admit_together([(Handshake(scope), "t") for scope in scopes])
        assert list(map(said, together)) == [answer(scope, "t") for scope in scopes]

    def test_a_class_of_the_projects_own_is_asked_for_each_with_its_request(
        self, ada: User, settings: Settings
    ) -> None:
        """It may look at anything: here, at the path."""
        settings.TRACE_STREAMING_PERMISSION_CLASSES = [f"{__name__}.AsksThePath"]
        assert not can_be_asked_together()
        shown = [(Handshake(handshake(trace_id)), trace_id) for trace_id in ("open", "shut", "open")]
        assert judge(shown) == [None, EXPIRED, None]


class AsksThePath(BasePermission):
    """A project's own."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.path.endswith("open")


def said(answer: Any) -> object:
    """Whom it lets in, or what it tells him."""
    if isinstance(answer, ProtocolError):
        return answer.code, answer.message
    assert not isinstance(answer, Exception), answer
    return answer[1].pk


def answer(scope: dict[str, Any], trace_id: str) -> object:
    try:
        return said(admit(scope, trace_id))
    except ProtocolError as error:
        return said(error)


@pytest.mark.parametrize("user", [None, AnonymousUser()])
def test_nobody_is_nobody_however_rest_framework_calls_him(user: object) -> None:
    """``UNAUTHENTICATED_USER`` may be None."""
    from trace_streaming.permissions import may_watch

    request = Request(HttpRequest())
    request.user = user  # type: ignore[assignment]
    assert not may_watch(request, Trace(trace_id="t"))
