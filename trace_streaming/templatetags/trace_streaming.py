"""``{% load trace_streaming %}``: the viewer in a template."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django import template
from django.urls import get_script_prefix

from trace_streaming.models import Approval
from trace_streaming.permissions import why_not_decide

register = template.Library()


@register.inclusion_tag("trace_streaming/trace_viewer.html", takes_context=True)
def trace_viewer(context: template.Context, trace_id: str, url: str | None = None, **attributes: Any) -> dict[str, Any]:
    """``{% trace_viewer trace_id %}``: the ``<trace-viewer>`` of one trace, with its module.

    :param url: of the trace's socket, where it is not ``ws/traces/{trace_id}``
    :param attributes: of the element; ``_`` in a name becomes ``-``
    """
    request = context.get("request")
    is_somebody = hasattr(request, "user")
    refusal = why_not_decide(request, Approval(trace_id=trace_id)) if is_somebody else ""
    return {
        "trace_id": trace_id,
        "url": url or f"{get_script_prefix()}ws/traces/{quote(str(trace_id), safe=':@~')}",
        "can_decide": is_somebody and not refusal,
        "refusal": refusal,
        "attributes": {name.replace("_", "-"): value for name, value in attributes.items()},
        # Of django-csp, or of Django's own context processor.
        "nonce": context.get("csp_nonce") or getattr(request, "csp_nonce", ""),
    }
