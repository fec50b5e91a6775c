"""Who may watch a trace: DRF permission classes with an object check, the same at every door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404
from django.utils.module_loading import import_string
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .conf import conf
from .models import Trace

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

VIEW_TRACE = "trace_streaming.view_trace"
ADD_EVENT = "trace_streaming.add_event"


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


def may_watch(request: Any, trace: Trace, view: Any = None) -> bool:
    """Whether all of ``TRACE_STREAMING_PERMISSION_CLASSES`` let this request's user watch the trace.

    May query the database; synchronous. A trace that has not begun is judged unsaved, without an owner.

    :param request: anything with ``user`` and ``method``: a Django or DRF request, or a :class:`Watcher`
    """
    permissions = [import_string(path)() for path in conf.PERMISSION_CLASSES]
    try:
        return all(
            p.has_permission(request, view) and p.has_object_permission(request, view, trace) for p in permissions
        )
    except (APIException, PermissionDenied, Http404):  # how a permission class may say no, too
        return False


class Watcher:
    """The handshake of a socket, as permission classes see it."""

    method = "GET"

    def __init__(self, scope: dict[str, Any], user: AbstractBaseUser | AnonymousUser) -> None:
        self.scope = scope
        self.user = user
        self.auth = None


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


def may_add_events(request: Any, trace: Trace) -> bool:
    """Whether this request's user may add events to the trace, and end it: its owner, and who has ``add_event``.

    A trace that has not begun has no owner: only the permission begins one, which then belongs to the user.
    """
    user = request.user
    if not user.is_active:
        return False
    is_owner = trace.owner_id is not None and trace.owner_id == user.pk
    return bool(is_owner or user.has_perm(ADD_EVENT) or user.has_perm(ADD_EVENT, trace))
