"""Where the API begins."""

from __future__ import annotations

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from trace_streaming.access.views import DoorView


class RootView(DoorView):
    """What there is, by name."""

    permission_classes = (AllowAny,)
    schema = None

    def get(self, request: Request) -> Response:
        """200 with the address of the traces, which is all that can be named without one."""
        match = request.resolver_match
        prefix = "".join(f"{name}:" for name in (match.namespaces if match else ()))
        return Response({"traces": reverse(f"{prefix}api-traces", request=request)})
