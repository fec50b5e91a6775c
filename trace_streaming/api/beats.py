"""How programs elsewhere say that they live, and which traces they have open."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Any, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from trace_streaming.access.bodies import TooLargeError
from trace_streaming.conf import conf
from trace_streaming.models import Trace
from trace_streaming.permissions import is_active, may_add_events
from trace_streaming.recording.inline import announce_alone
from trace_streaming.recording.leases import give_up_the_dead
from trace_streaming.stopping.listening import as_told
from trace_streaming.stopping.requests import stop_requests
from trace_streaming.storage import leases
from trace_streaming.storage.store import database

from .access import TraceView
from .ingest import body_of

MAX_TRACES: Final = 1_000
"""In one request. SQLite may allow 999 parameters: they are looked up in parts."""
CHUNK_TRACES: Final = 500


class BeatSerializer(serializers.Serializer[Any]):
    """What a sender says of itself."""

    sender = serializers.RegexField("^[!-~]{1,64}$", help_text="What it calls itself, for as long as it lives.")
    traces = serializers.ListField(
        child=serializers.CharField(max_length=128),
        default=list,
        max_length=MAX_TRACES,
        help_text="Ids of all traces that it has open.",
    )
    ends = serializers.BooleanField(default=False, help_text="Whether it ends now, and leaves them unfinished.")


class BeatView(TraceView):
    """The lease of one sender. Traces that it may not add to, or that have not begun, it does not hold."""

    serializer_class = BeatSerializer

    def post(self, request: Request) -> Response:
        """Renew it, with all the traces that it is for; the answer says how long it lasts."""
        if not is_active(request.user):
            self.refuse()
        body = body_of(request)
        if isinstance(named := body.get("traces"), list) and len(named) > MAX_TRACES:
            raise TooLargeError(f"A request has at most {MAX_TRACES} traces")
        asked = BeatSerializer(data=body)
        asked.is_valid(raise_exception=True)
        if (seconds := conf.LEASE_SECONDS) is None:
            return Response({"held": 0, "expires_in": None, "stops": {}})
        told = asked.validated_data
        sender = sha256(f"{request.user.pk} {told['sender']}".encode()).hexdigest()
        held = self._hold(sender, set(told["traces"]), told["ends"], seconds)
        return Response({"held": len(held), "expires_in": seconds, "stops": _stops(held)})

    def _hold(self, sender: str, named: AbstractSet[str], ends: bool, seconds: float) -> AbstractSet[str]:
        alias = database()
        lease = leases.sender_lease(alias, sender)
        held = {} if lease is None else leases.held_under(alias, lease)
        allowed = self._may_hold(named)  # what is held already, too: the right to it may have been lost
        new = {trace_id: trace for trace_id, trace in allowed.items() if trace_id not in held}
        if lease is None and new:
            lease = leases.take(alias, seconds, sender, self.request.META.get("REMOTE_ADDR") or "")
        if lease is None:
            return set()  # nothing is written for whoever may hold nothing
        leases.renew(alias, lease, seconds)
        announce_alone(leases.reclaim(alias, lease, list(new.values())))
        leases.let_go(alias, lease, [trace for trace_id, trace in held.items() if trace_id not in allowed])
        if ends:
            leases.run_out(alias, lease)
            give_up_the_dead(alias)
        return allowed.keys()

    def _may_hold(self, trace_ids: AbstractSet[str]) -> dict[str, int]:
        ids = sorted(trace_ids)
        rows: dict[str, int] = {}
        for start in range(0, len(ids), CHUNK_TRACES):
            traces = Trace.objects.using(database()).filter(trace_id__in=ids[start : start + CHUNK_TRACES])
            rows |= {trace.trace_id: trace.pk for trace in traces if may_add_events(self.request, trace)}
        return rows


def _stops(trace_ids: AbstractSet[str]) -> dict[str, dict[str, str]]:
    """What the runs of these traces are asked, by trace id."""
    ids = sorted(trace_ids)
    parts = (ids[start : start + CHUNK_TRACES] for start in range(0, len(ids), CHUNK_TRACES))
    standing = (stop for part in parts for stop in stop_requests().filter(trace_id__in=part, is_standing=True))
    return {stop.trace_id: as_told(stop)._asdict() for stop in standing}
