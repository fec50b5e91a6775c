"""What is there already, and otherwise."""

from __future__ import annotations

from rest_framework import status
from rest_framework.exceptions import APIException


class Conflict(APIException):
    """Somebody has decided differently, or the time is over; or something else is asked."""

    status_code = status.HTTP_409_CONFLICT
