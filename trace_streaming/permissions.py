"""Who may watch a trace: DRF permission classes with an object check, the same at every door."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, Protocol, cast

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import connections, router
from django.db.models import Model, QuerySet
from django.http import Http404
from django.utils.module_loading import import_string
from rest_framework.exceptions import APIException
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    IsAdminUser,
    IsAuthenticated,
    IsAuthenticatedOrReadOnly,
)
from rest_framework.request import Request

from .conf import conf
from .models import Approval, Trace

VIEW_TRACE = "trace_streaming.view_trace"
ADD_EVENT = "trace_streaming.add_event"
WHO_ADDS: Final = f"to begin a trace, or to add to somebody else's, takes the permission {ADD_EVENT}"
DECIDE_APPROVAL = "trace_streaming.decide_approval"


def has_perm(user: Any, permission: str, obj: Model | None = None) -> bool:
    """Whether the user has a permission of Django's, for all objects or for this one.

    A user model without ``PermissionsMixin`` has none; nor has a user of a token, who is not of the database at all.
    """
    asked = getattr(user, "has_perm", None)
    return asked is not None and bool(asked(permission) or (obj is not None and asked(permission, obj)))


def is_active(user: Any) -> bool:
    """Whether this is a user, and one who may log in; a model without ``is_active`` has no others."""
    return bool(user is not None and user.is_authenticated and getattr(user, "is_active", True))


class IsOwnerOrMayViewTraces(BasePermission):
    """The trace's owner, and users with Django's ``view_trace`` permission, for all traces or for this one."""

    def has_object_permission(self, request: Request, view: Any, obj: Trace) -> bool:
        """Asks ``has_perm`` with and without the object, so object-level backends work."""
        user = request.user
        return is_active(user) and (_owns(user, obj) or has_perm(user, VIEW_TRACE, obj))

    def visible_traces(self, request: Request, traces: QuerySet[Trace]) -> QuerySet[Trace]:
        """The same for a list; what an object-level backend adds is not listed, only found by its id."""
        user = request.user
        if not is_active(user):
            return traces.none()
        if has_perm(user, VIEW_TRACE):
            return traces
        key = getattr(user, "pk", None)
        # No key is not that of traces without an owner.
        return traces.none() if key is None else traces.filter(owner=key)


class MayDecideApprovals(BasePermission):
    """Users with the permission ``decide_approval``, for all approvals or for this one."""

    message = "You may watch this trace; to decide its approvals takes the permission to decide them"

    def has_object_permission(self, request: Request, view: Any, obj: Approval) -> bool:
        """Asks ``has_perm`` with and without the object, so object-level backends work."""
        return is_active(request.user) and has_perm(request.user, DECIDE_APPROVAL, obj)


class MayDecideOthersApprovals(MayDecideApprovals):
    """The same, and not of one's own traces: four eyes."""

    def has_object_permission(self, request: Request, view: Any, obj: Approval) -> bool:
        """Asks for the trace's owner, too."""
        if _owns(request.user, find_trace(obj.trace_id)):
            self.message = "This trace is your own; somebody else decides its approvals"
            return False
        return super().has_object_permission(request, view, obj)


class MayViewTraces(BasePermission):
    """Users with Django's ``view_trace`` permission for all traces."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """An anonymous user has none."""
        return is_active(request.user) and has_perm(request.user, VIEW_TRACE)


def _owns(user: Any, trace: Trace) -> bool:
    return trace.owner_id is not None and trace.owner_id == getattr(user, "pk", None)


_OF_THE_USER: Final = frozenset({AllowAny, IsAuthenticated, IsAuthenticatedOrReadOnly, IsAdminUser, MayViewTraces})
"""Classes that look at nothing but the user, and the method."""


def find_trace(trace_id: str) -> Trace:
    """The trace of this id; one that has not begun is unsaved, and has no owner."""
    return find_traces([trace_id]).get(trace_id) or Trace(trace_id=trace_id)


def find_traces(trace_ids: Collection[str]) -> dict[str, Trace]:
    """Those of the traces that have begun, in one query; at most some hundred."""
    if not trace_ids:
        return {}
    alias = router.db_for_write(Trace)
    table = connections[alias].ops.quote_name(Trace._meta.db_table)
    holders = ", ".join(["%s"] * len(trace_ids))
    # Each socket that comes asks this: put together by the ORM, it takes four times as long.
    sql = f"SELECT * FROM {table} WHERE trace_id IN ({holders})"  # noqa: S608  our own name  # nosec B608
    return {trace.trace_id: trace for trace in Trace.objects.using(alias).raw(sql, list(trace_ids))}


def watch_permissions() -> list[BasePermission]:
    """Those of ``TRACE_STREAMING_PERMISSION_CLASSES``, which decide who may watch."""
    return [import_string(path)() for path in conf.PERMISSION_CLASSES]


def watching_needs_no_request() -> bool:
    """Whether the policy looks at nothing but the user, the method and the trace: of these classes, exactly."""
    return (_OF_THE_USER | {IsOwnerOrMayViewTraces}).issuperset(map(type, watch_permissions()))


def watching_needs_no_trace() -> bool:
    """Whether it does not look at the trace either."""
    return _OF_THE_USER.issuperset(map(type, watch_permissions()))


def may_watch(request: Any, trace: Trace, view: Any = None) -> bool:
    """Whether all of ``TRACE_STREAMING_PERMISSION_CLASSES`` let this request's user watch the trace.

    May query the database; synchronous.

    :param request: anything with ``user`` and ``method``: a Django or DRF request; of a socket, its handshake
    """
    return _all_let(watch_permissions(), request, view, trace)


class WatchPolicy:
    """The policy of this moment, for many who are asked one after another; its classes keep nothing of a request."""

    def __init__(self) -> None:
        self._permissions = watch_permissions()
        self._view = Door(Trace)

    def lets(self, request: Any, trace: Trace) -> bool:
        """As :func:`may_watch`."""
        return _all_let(self._permissions, request, self._view, trace)


def may_decide(request: Any, approval: Approval, view: Any = None) -> bool:
    """Whether all of ``TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES`` let this request's user decide the approval."""
    return not why_not_decide(request, approval, view)


def why_not_decide(request: Any, approval: Approval, view: Any = None) -> str:
    """Why this request's user may not decide the approval, in words for him; empty where he may.

    The words are the ``message`` of the class that refuses, as in REST framework.
    """
    for path in conf.APPROVAL_PERMISSION_CLASSES:
        permission = import_string(path)()
        if not _all_let([permission], request, view, approval):
            return str(getattr(permission, "message", None) or "You may not decide approvals of this trace")
    return ""


def _all_let(permissions: Sequence[BasePermission], request: Any, view: Any, obj: Model) -> bool:
    _name_nobody(request)
    view = Door(type(obj)) if view is None else view
    try:
        return all(
            permission.has_permission(request, view) and permission.has_object_permission(request, view, obj)
            for permission in permissions
        )
    except (APIException, PermissionDenied, Http404):  # how a permission class may say no, too
        return False


class Door:
    """The view that permission classes are given where there is none, as at a socket."""

    def __init__(self, model: type[Model]) -> None:
        self.queryset: QuerySet[Any] = model._default_manager.none()
        """As ``DjangoModelPermissions`` and its like look for."""


class _Sees(Protocol):
    def visible_traces(self, request: Any, traces: QuerySet[Trace]) -> QuerySet[Trace]: ...


def traces_to_watch(request: Any, traces: QuerySet[Trace], view: Any = None) -> QuerySet[Trace] | None:
    """Those of the traces that may be watched, by the query alone; None where each has to be judged by itself.

    A permission class says so with a method ``visible_traces(request, traces)``, defined where its
    ``has_object_permission`` is, or in a class below: a subclass that judges otherwise does not inherit it. One that
    does not look at the object has nothing to say but with its ``has_permission``.
    """
    permissions = watch_permissions()
    if not _let(permissions, request, view):
        return traces.none()
    for permission in permissions:
        if _lists_what_it_lets(type(permission)):
            traces = cast("_Sees", permission).visible_traces(request, traces)
        elif getattr(type(permission), "has_object_permission", None) is not BasePermission.has_object_permission:
            return None
    return traces


def _lists_what_it_lets(kind: type[Any]) -> bool:
    """Whether the class's ``visible_traces`` is of the same mind as its ``has_object_permission``."""
    for ancestor in kind.__mro__:
        if "visible_traces" in vars(ancestor):
            return True
        if "has_object_permission" in vars(ancestor):
            return False
    return False


def _let(permissions: Sequence[BasePermission], request: Any, view: Any) -> bool:
    """Whether all of them let the request in, whatever it asks for."""
    _name_nobody(request)
    view = Door(Trace) if view is None else view
    try:
        return all(permission.has_permission(request, view) for permission in permissions)
    except (APIException, PermissionDenied, Http404):
        return False


def _name_nobody(request: Any) -> None:
    if request.user is None:  # REST framework's UNAUTHENTICATED_USER may say so
        request.user = AnonymousUser()


def may_watch_all(request: Any, view: Any = None) -> bool:
    """Whether the request's user may watch every trace: the policy lets them, and narrows no list of traces."""
    traces = Trace.objects.none()
    return traces_to_watch(request, traces, view) is traces


def may_see_signals(request: Any, view: Any = None) -> bool:
    """Whether there are signals for the request's user, whom the policy lets in: of all traces, or of their own."""
    if not _let(watch_permissions(), request, view):
        return False
    return bool(request.user.is_authenticated) or may_watch_all(request, view)


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
    return is_active(user) and (_owns(user, trace) or has_perm(user, ADD_EVENT, trace))
