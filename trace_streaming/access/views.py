"""What all HTTP doors have in common, whatever a project has made of REST framework's and Django's defaults."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import connections, transaction
from django.http import HttpRequest
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView, exception_handler

from trace_streaming.storage.faults import fault_of_database
from trace_streaming.storage.store import database
from trace_streaming.telemetry.logs import BurstLog

from .authentication import authenticators
from .bodies import JSONBodyParser, check_length, measure

logger = logging.getLogger(__name__)

V = TypeVar("V", bound=Callable[..., Any])

RETRY_SECONDS = 5
NO_NUL = "NUL characters are not allowed"
_log = BurstLog(logger, logging.ERROR)


class StoreAwayError(APIException):
    """503 with ``Retry-After``."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The database does not answer; try again."
    default_code = "database_away"
    wait = RETRY_SECONDS


def without_transaction(view: V) -> V:
    """Not in a transaction of ``ATOMIC_REQUESTS``: the writer would wait for it, and a stream hold it for hours."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


class Negotiation(DefaultContentNegotiation):
    """``?format=``, whatever the project calls it elsewhere."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """As REST framework does."""
        return super().select_renderer(request, renderers, format_suffix or request.query_params.get("format"))


class DoorView(APIView):
    """A view whose answers are the same in every project: the scripts of its pages, and programs, read them.

    The project's ``DEFAULT_THROTTLE_CLASSES`` hold. What it answers is for whoever asked, and is not kept.
    """

    versioning_class = None
    content_negotiation_class = Negotiation
    renderer_classes: Any = (JSONRenderer,)
    parser_classes: Any = (JSONBodyParser,)
    has_pages: ClassVar[bool] = True
    """Whether it may be looked at in REST framework's browsable API, where the project has that."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Outside of ``ATOMIC_REQUESTS``."""
        return without_transaction(super().as_view(**initkwargs))

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """With the length of its body."""
        measure(request)
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what no database takes, before anybody looks at it."""
        self.format_kwarg = self.get_format_suffix(**kwargs)  # an answer's renderer is chosen by it, also a refusal's
        asked = [*kwargs.items(), *((name, text) for name, texts in request.query_params.lists() for text in texts)]
        if any("\0" in name for name, _ in asked):
            raise ValidationError({"detail": NO_NUL})
        if bad := {name: [NO_NUL] for name, text in asked if "\0" in str(text)}:
            raise ValidationError(bad)
        check_length(request._request, self.body_limit())
        super().initial(request, *args, **kwargs)

    def body_limit(self) -> int | None:
        """How many bytes a request may bring; None: any number of them."""
        return settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The same as a socket's."""
        return authenticators()

    def perform_authentication(self, request: Request) -> None:
        """Nobody is a user, too, where REST framework's ``UNAUTHENTICATED_USER`` is None."""
        super().perform_authentication(request)
        if request.user is None:
            request.user = AnonymousUser()

    def get_renderers(self) -> list[BaseRenderer]:
        """Pages for browsers, too, where there are any."""
        defaults: Any = api_settings.DEFAULT_RENDERER_CLASSES
        has_pages = any(issubclass(renderer, BrowsableAPIRenderer) for renderer in defaults)
        return [*super().get_renderers(), *([BrowsableAPIRenderer()] if self.has_pages and has_pages else [])]

    def get_exception_handler(self) -> Any:
        """REST framework's own."""
        return exception_handler

    def handle_exception(self, exc: Exception) -> Response:
        """503 while the database is away, takes no writes, or lacks a migration: who asks is to come again."""
        fault = fault_of_database(exc, database())
        if fault is None:
            return super().handle_exception(exc)
        _log.failed("database", "The database does not answer requests (%s)", fault)
        return super().handle_exception(StoreAwayError())

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """No cache keeps it; and a request that was answered ends a burst of failures in the log."""
        if response.status_code < status.HTTP_500_INTERNAL_SERVER_ERROR:
            _log.works("database")
        response = super().finalize_response(request, response, *args, **kwargs)
        response.setdefault("Cache-Control", "no-store")
        return response
