"""What is told: of redacted rows alone, with a way to the page, and never one that decides by being opened."""

from __future__ import annotations

from typing import NamedTuple

from django.urls import NoReverseMatch, reverse

from trace_streaming.conf import conf
from trace_streaming.models import Approval, Notification, Trace, in_order
from trace_streaming.storage.notifications import APPROVAL
from trace_streaming.storage.store import database
from trace_streaming.storage.times import UtcNow, as_utc


class Message(NamedTuple):
    """One for all ways."""

    subject: str
    text: str
    url: str
    """Of the trace's page; empty where the project has not included the app's routes."""


def message_of(noted: Notification) -> Message | None:
    """None where there is nothing to tell any more: it was decided, the trace was deleted, or goes on."""
    trace = Trace.objects.using(database()).filter(trace_id=noted.trace_id).first()
    if trace is None:
        return None
    called = in_order(trace.name or trace.trace_id)
    if noted.kind == APPROVAL:
        open_ones = Approval.objects.using(database()).filter(decision="", expires_at__gt=UtcNow())
        asked = open_ones.filter(approval_id=noted.subject, trace_id=noted.trace_id).first()
        if asked is None:
            return None
        until = as_utc(asked.expires_at).strftime("%Y-%m-%d %H:%M UTC")
        what = f"{in_order(asked.action)} ({asked.risk_level} risk)"
        return Message(f"Waits for approval: {what}", f"{called} asks for {what}, until {until}.", _url(trace))
    if trace.state != Trace.State.ERROR:
        return None
    text = f"{called} has ended with an error, after {trace.event_count} events."
    return Message(f"Failed: {called}", text, _url(trace))


def _url(trace: Trace) -> str:
    try:
        return conf.notify.site + reverse("trace_streaming:dashboard-trace", args=[trace.trace_id])
    except NoReverseMatch:
        return ""
