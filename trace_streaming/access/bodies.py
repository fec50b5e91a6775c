"""What a request brings: JSON, of a bounded size, whether its length is said before or not."""

from __future__ import annotations

import json
import re
from os import SEEK_END
from typing import Any, Final, NoReturn

import orjson
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

from trace_streaming.events import parse_json

_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class TooLargeError(APIException):
    """413."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class LengthRequiredError(APIException):
    """411: Django reads no such body under WSGI, and would take it for an empty one."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "This server needs a Content-Length."
    default_code = "length_required"


class JSONBodyParser(BaseParser):
    """JSON by the parser that the rest of the app uses: strict, and not to be broken by a deeply nested text.

    Half of a character (a lone surrogate) becomes U+FFFD, as in what is emitted.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Raise :exc:`ParseError` for what is no JSON, and 413 above ``DATA_UPLOAD_MAX_MEMORY_SIZE``."""
        return read_json(read_bounded(stream, settings.DATA_UPLOAD_MAX_MEMORY_SIZE))


def read_bounded(stream: Any, limit: int | None) -> bytes:
    """All of it; 413 where it has more bytes than this."""
    body: bytes = stream.read() if limit is None else stream.read(limit + 1)
    if limit is not None and len(body) > limit:
        raise TooLargeError(f"A request has at most {limit} bytes")
    return body


def read_json(body: bytes) -> Any:
    """What it says; :exc:`ParseError` for what is no JSON."""
    try:
        return parse_json(body)
    except orjson.JSONDecodeError as error:
        if b"\\u" in body and (whole := _with_whole_characters(body)) is not None:
            return parse_json(whole)
        raise ParseError(f"Not JSON: {error}") from None


def _with_whole_characters(body: bytes) -> bytes | None:
    """The same JSON, with U+FFFD for each lone surrogate; None when it is none all the same."""
    try:
        text = json.dumps(json.loads(body, parse_constant=_refuse), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return _SURROGATES.sub("\ufffd", text).encode()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and its like are no JSON


def measure(request: HttpRequest) -> None:
    """Say how long a body is that came in chunks: without a length, Django and REST framework take it for empty."""
    if request.META.get("CONTENT_LENGTH") or not isinstance(request, ASGIRequest):
        return
    stream: Any = request._stream  # ASGI's handler has received all of it
    if stream.seekable():
        request.META["CONTENT_LENGTH"] = str(stream.seek(0, SEEK_END))
        stream.seek(0)


def check_length(request: HttpRequest, limit: int | None) -> None:
    """Refuse, before it is read, a body that is said to be too large, or whose length cannot be known.

    :param limit: bytes; None: it may have any number of them
    """
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length and request.META.get("HTTP_TRANSFER_ENCODING"):
        raise LengthRequiredError
    if limit is not None and length.isdecimal() and int(length) > limit:
        raise TooLargeError(f"A request has at most {limit} bytes")
