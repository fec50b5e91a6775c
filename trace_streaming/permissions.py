"""Who may watch a trace: DRF permission classes with an object check, the same at every door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import router
from django.db.models import Model, QuerySet
from django.http import Http404
from django.utils.module_loading import import_string
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .conf import conf
from .models import Approval, Trace

VIEW_TRACE = "trace_streaming.view_trace"
ADD_EVENT = "trace_streaming.add_event"
DECIDE_APPROVAL = "trace_streaming.decide_approval"


class IsOwnerOrMayViewTraces(BasePermission):
    """The trace's owner, and users with Django's ``view_trace`` permission, for all traces or for this one."""

    def has_object_permission(self, request: Request, view: Any, obj: Trace) -> bool:
        """Asks ``has_perm`` with and without the object, so object-level backends work."""
        user = request.user
        if not user.is_active:  # an anonymous user is not active either
            return False
        is_owner = obj.owner_id is not None and obj.owner_id == user.pk
        return is_owner or user.has_perm(VIEW_TRACE) or user.has_perm(VIEW_TRACE, obj)

    def visible_traces(self, request: Request, traces: QuerySet[Trace]) -> QuerySet[Trace]:
        """The same for a list; what an object-level backend adds is not listed, only found by its id."""
        user = request.user
        if not user.is_active:
            return traces.none()
        return traces if user.has_perm(VIEW_TRACE) else traces.filter(owner=user.pk)


class MayDecideApprovals(BasePermission):
    """Users with the permission ``decide_approval``, for all approvals or for this one."""

    def has_object_permission(self, request: Request, view: Any, obj: Approval) -> bool:
        """Asks ``has_perm`` with and without the object, so object-level backends work."""
        user = request.user
        return user.is_active and (user.has_perm(DECIDE_APPROVAL) or user.has_perm(DECIDE_APPROVAL, obj))


class MayDecideOthersApprovals(MayDecideApprovals):
    """The same, and not of one's own traces: four eyes."""

    def has_object_permission(self, request: Request, view: Any, obj: Approval) -> bool:
        """Asks for the trace's owner, too."""
        is_own = find_trace(obj.trace_id).owner_id == request.user.pk
        return not is_own and super().has_object_permission(request, view, obj)


class MayViewTraces(BasePermission):
    """Users with Django's ``view_trace`` permission for all traces."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """An anonymous user has none."""
        return request.user is not None and request.user.has_perm(VIEW_TRACE)


def find_trace(trace_id: str) -> Trace:
    """The trace of this id; one that has not begun is unsaved, and has no owner."""
    return Trace.objects.using(router.db_for_write(Trace)).filter(trace_id=trace_id).first() or Trace(trace_id=trace_id)


def may_watch(request: Any, trace: Trace, view: Any = None) -> bool:
    """Whether all of ``TRACE_STREAMING_PERMISSION_CLASSES`` let this request's user watch the trace.

    May query the database; synchronous.

    :param request: anything with ``user`` and ``method``: a Django or DRF request; of a socket, its handshake
    """
    return _all_let(conf.PERMISSION_CLASSES, request, view, trace)


def may_decide(request: Any, approval: Approval, view: Any = None) -> bool:
    """Whether all of ``TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES`` let this request's user decide the approval."""
    return _all_let(conf.APPROVAL_PERMISSION_CLASSES, request, view, approval)


def _all_let(classes: Sequence[str], request: Any, view: Any, obj: Model) -> bool:
    if request.user is None:  # REST framework's UNAUTHENTICATED_USER may say so
        request.user = AnonymousUser()
    permissions = [import_string(path)() for path in classes]
    try:
        return all(
            permission.has_permission(request, view) and permission.has_object_permission(request, view, obj)
            for permission in permissions
        )
    except (APIException, PermissionDenied, Http404):  # how a permission class may say no, too
        return False


class _Sees(Protocol):
    def visible_traces(self, request: Any, traces: QuerySet[Trace]) -> QuerySet[Trace]: ...


def traces_to_watch(request: Any, traces: QuerySet[Trace]) -> QuerySet[Trace] | None:
    """Those of the traces that may be watched, by the query alone; None where each has to be judged by itself.

    A permission class says so with a method ``visible_traces(request, traces)``; one that does not look at the object
    has nothing to say.
    """
    for permission in [import_string(path)() for path in conf.PERMISSION_CLASSES]:
        if hasattr(permission, "visible_traces"):
            traces = cast("_Sees", permission).visible_traces(request, traces)
        elif getattr(type(permission), "has_object_permission", None) is not BasePermission.has_object_permission:
            return None
    return traces


def may_watch_all(request: Any, view: Any = None) -> bool:
    """Whether the request's user may watch every trace: the policy lets them, and narrows no list of traces."""
    if request.user is None:
        request.user = AnonymousUser()
    traces = Trace.objects.none()
    permissions = [import_string(path)() for path in conf.PERMISSION_CLASSES]
    let = all(permission.has_permission(request, view) for permission in permissions)
    return let and traces_to_watch(request, traces) is traces


def may_see_signals(request: Any, view: Any = None) -> bool:
    """Whether there are signals for the request's user: of all traces, or of their own."""
    return (request.user is not None and request.user.is_authenticated) or may_watch_all(request, view)


class MaySeeSignals(BasePermission):
    """Users, and everybody where the policy lets everybody watch all."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """As :func:`may_see_signals`."""
        return may_see_signals(request, view)


def may_add_events(request: Any, trace: Trace) -> bool:
    """Whether this request's user may add events to the trace, and end it: its owner, and who has ``add_event``.

    A trace that has not begun has no owner: only the permission begins one, which then belongs to the user.
    """
    user = request.user
    if not user.is_active:
        return False
    is_owner = trace.owner_id is not None and trace.owner_id == user.pk
    return bool(is_owner or user.has_perm(ADD_EVENT) or user.has_perm(ADD_EVENT, trace))
