"""Who may watch a trace: DRF permission classes with an object check, the same at every door."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import Http404
from django.utils.module_loading import import_string
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .conf import conf
from .models import Trace

VIEW_TRACE = "trace_streaming.view_trace"


class IsOwnerOrMayViewTraces(BasePermission):
    """The trace's owner, and users with Django's ``view_trace`` permission, for all traces or for this one."""

    def has_object_permission(self, request: Request, view: Any, obj: Trace) -> bool:
        """Asks ``has_perm`` with and without the object, so object-level backends work."""
        user = request.user
        if not user.is_active:  # an anonymous user is not active either
            return False
        is_owner = obj.owner_id is not None and obj.owner_id == user.pk
        return is_owner or user.has_perm(VIEW_TRACE) or user.has_perm(VIEW_TRACE, obj)


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
    if request.user is None:  # REST framework's UNAUTHENTICATED_USER may say so
        request.user = AnonymousUser()
    permissions = [import_string(path)() for path in conf.PERMISSION_CLASSES]
    try:
        return all(
            p.has_permission(request, view) and p.has_object_permission(request, view, trace) for p in permissions
        )
    except (APIException, PermissionDenied, Http404):  # how a permission class may say no, too
        return False
