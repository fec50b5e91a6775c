"""The approvals' API from its other side: one request, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx
import orjson

from trace_streaming.exceptions import ApprovalNotFoundError, OtherArgumentsError

from .ingest import TIMEOUT, answered, is_transient


def call(
    method: str, url: str, authorization: str, body: object = None, params: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """What the server says; None where it cannot be asked now.

    :raises ValueError: it says that this cannot be asked; :exc:`OtherArgumentsError` of other arguments
    :raises ApprovalNotFoundError: it knows no such approval of this token's
    :raises PermissionError: it does not let this token do so
    """
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    content = None if body is None else orjson.dumps(body)
    try:
        response = httpx.request(method, url, headers=headers, content=content, params=params, timeout=TIMEOUT)
    except httpx.TransportError:
        return None
    if is_transient(response.status_code):
        return None
    if response.is_success and (told := answered(response)):
        return told
    raise _refusal(response)


def _refusal(response: httpx.Response) -> Exception:
    try:
        said = str(response.json())[:500]
    except ValueError:
        said = ""
    if response.status_code == HTTPStatus.NOT_FOUND:
        return ApprovalNotFoundError("This trace has no such approval of this token's")
    if response.status_code == HTTPStatus.CONFLICT:
        return OtherArgumentsError("This approval was asked for with other arguments, or by somebody else")
    if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return PermissionError("The server does not let this token ask")
    return ValueError(f"The server refuses it ({response.status_code}): {said}")
