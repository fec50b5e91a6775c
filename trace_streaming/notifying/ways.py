"""By which ways something is told: Django's mail, and webhooks as Slack takes them.

They are signed as Standard Webhooks has it (https://www.standardwebhooks.com/).
"""

from __future__ import annotations

import base64
import hmac
from http import HTTPStatus
from time import time
from typing import Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import orjson
from django.core.mail import send_mail

from trace_streaming.conf import conf

from .messages import Message

TIMEOUT_SECONDS: Final = 10.0
_SLACK: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""https://docs.slack.dev/messaging/formatting-message-text: what would be markup."""


class RefusedError(Exception):
    """It will be the same next time."""


class _NoRedirects(HTTPRedirectHandler):
    """A signature is for the address that the project has named."""

    def redirect_request(self, *args: object) -> None:
        """None of them is followed."""


def tell(target: str, message: Message, id_: str) -> None:
    """Tell it; returns when the other side has it.

    :param target: ``mailto:NAME@HOST``, or the address of a webhook
    :param id_: the same for the same message, however often it is told
    :raises RefusedError: the other side does not want it
    :raises Exception: whatever a mail backend, or the network, may raise: it may work a moment later
    """
    if target.startswith("mailto:"):
        text = "\n\n".join(part for part in (message.text, message.url) if part)
        send_mail(" ".join(message.subject.split()), text, None, [target.removeprefix("mailto:")])
    else:
        _post(target, message, id_)


def _post(target: str, message: Message, id_: str) -> None:
    text = " ".join(part for part in (message.text.translate(_SLACK), message.url) if part)
    body = orjson.dumps({"text": text})
    request = Request(target, data=body, headers={"Content-Type": "application/json", **_signed(body, id_)})  # noqa: S310  a check lets http and https alone through
    try:
        with build_opener(_NoRedirects).open(request, timeout=TIMEOUT_SECONDS):
            pass  # what it says is not read: it may have no end
    except HTTPError as error:
        with error:
            is_final = HTTPStatus.BAD_REQUEST <= error.code < HTTPStatus.INTERNAL_SERVER_ERROR
            again = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
            if is_final and error.code not in again:
                raise RefusedError(f"it answers {error.code}") from None
            raise ConnectionError(f"it answers {error.code}") from None


def _signed(body: bytes, id_: str) -> dict[str, str]:
    """Headers of Standard Webhooks 1.0, where the project has a secret: those who receive it can tell it is ours."""
    if not (secret := conf.notify.secret):
        return {}
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    at = str(int(time()))
    signature = hmac.digest(key, f"{id_}.{at}.".encode() + body, "sha256")
    return {
        "webhook-id": id_,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
