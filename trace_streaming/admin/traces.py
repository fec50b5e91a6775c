"""The Django admin: traces and their events, to watch, to export and to prune. Nothing here changes an event."""

from __future__ import annotations

from datetime import timedelta

import orjson
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from trace_streaming.analytics.windows import trace_signals
from trace_streaming.approvals.decisions import open_approvals
from trace_streaming.events.golden_signals import CALL_ENDS
from trace_streaming.exceptions import NotStoppableError
from trace_streaming.models import Event, StreamServer, Trace, in_order, stored_now
from trace_streaming.recording.recorder import recorder
from trace_streaming.servers.presence import living, watchers_by_trace
from trace_streaming.stopping.requests import request_stop_as
from trace_streaming.storage.retention import prune
from trace_streaming.storage.store import database
from trace_streaming.storage.times import local_time

from .date_hierarchy import ByPeriod
from .event_filters import NameFilter, StatusFilter
from .exports import ExportAdmin
from .read_only import ReadOnlyAdmin
from .signals_table import milliseconds, signals_table

SHOWN_EVENTS = 100
COUNTED_EVENTS = 50_000
"""A trace's page shows its signals when it has at most so many: they are made of its events each time."""

_TIMES = ("started_at", "last_event_at", "ended_at")
_COUNTS = ("event_count", "error_count", "lost_count")
_CALLED = ("name", "conversation", "tags")
_MODELS = ("model_calls", "tool_calls", "input_tokens", "output_tokens", "cost")


@admin.register(Trace)
class TraceAdmin(ExportAdmin):
    """Traces, newest first; a trace's page shows it live, and leads to all of its events."""

    list_display = (
        *("trace_id", "name", "state_text", "started_at", "duration_text", "event_count", "error_count"),
        *("watchers", "owner"),
    )
    actions = ("export_json_lines", "export_chrome", "stop_selected", "prune_selected")
    list_filter = ("state", "started_at")
    list_select_related = ("owner",)
    search_fields = ("trace_id", "name", "conversation")
    search_help_text = _("Part of a trace's id, name or conversation")
    date_hierarchy = "started_at"
    fieldsets = (
        (None, {"fields": (("state_text", "duration_text", "owner"), "open_approvals", "golden_signals", "metadata")}),
        (_("Times and counts"), {"fields": (_CALLED, _TIMES, _COUNTS, _MODELS, ("trace_id", "epoch"))}),
        (_("Newest events"), {"fields": ("newest_events",), "classes": ("collapse",)}),
    )
    readonly_fields = ("state_text", "duration_text", "open_approvals", "golden_signals", "newest_events")

    class Media:
        css = {"all": ["trace_streaming/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """One whose date hierarchy takes no longer with a million traces."""
        recorder.leases.watch()
        return ByPeriod(Trace, using=database()).order_by(*self.get_ordering(request))

    def get_urls(self) -> list[URLPattern]:
        """With the dashboard's."""
        view = self.admin_site.admin_view(self.dashboard)
        return [path("dashboard/", view, name="trace_streaming_trace_dashboard"), *super().get_urls()]

    def dashboard(self, request: HttpRequest) -> HttpResponse:
        """Golden signals of all traces, for those who may view them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("Dashboard"),
            "opts": self.opts,
            "nonce": getattr(request, "csp_nonce", ""),
        }
        return TemplateResponse(request, "admin/trace_streaming/trace/dashboard.html", context)

    @admin.display(description=_("state"), ordering="state")
    def state_text(self, trace: Trace) -> SafeString:
        """In its colour."""
        return format_html('<span class="trace-state {}">{}</span>', trace.state, trace.get_state_display())

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """With who watches now, asked once for all traces of the page."""
        page = super().get_changelist_instance(request)
        watchers = watchers_by_trace()
        for trace in page.result_list:
            trace.watchers = watchers[trace.trace_id]
        return page

    @admin.display(description=_("watchers"))
    def watchers(self, trace: Trace) -> int:
        """Connections of all processes."""
        watchers: int = vars(trace)["watchers"]
        return watchers

    @admin.display(description=_("open approvals"))
    def open_approvals(self, trace: Trace) -> SafeString | str:
        """Those that wait for a decision, and the way to them."""
        waiting = open_approvals().filter(trace_id=trace.trace_id)
        page, site = "admin:trace_streaming_approval_change", self.admin_site.name
        links = ((reverse(page, args=[each.pk], current_app=site), in_order(each.action)) for each in waiting)
        return format_html_join(", ", '<a href="{}">{}</a>', links) or "-"

    @admin.display(description=_("golden signals"))
    def golden_signals(self, trace: Trace) -> SafeString | str:
        """Of the events that are stored now."""
        if trace.event_count > COUNTED_EVENTS:
            return str(_("Too many events to count them for a page; the API tells their signals."))
        return signals_table(trace_signals(trace))

    def has_prune_permission(self, request: HttpRequest) -> bool:
        """Django's permission to delete traces."""
        return request.user.has_perm("trace_streaming.delete_trace")

    @admin.action(description=_("Prune selected traces"), permissions=["prune"])
    def prune_selected(self, request: HttpRequest, queryset: QuerySet[Trace]) -> HttpResponse | None:
        """Delete them with their events, when it was confirmed: in ranges, so that emitters never wait."""
        traces = list(queryset)
        if request.POST.get("confirmed") != "yes":
            context = {
                **self.admin_site.each_context(request),
                "title": _("Prune traces"),
                "traces": traces,
                "events": sum(trace.event_count for trace in traces),
                "back": request.get_full_path(),
            }
            return TemplateResponse(request, "admin/trace_streaming/trace/prune.html", context)
        now = stored_now()
        deleted = sum(sum(prune(trace, now)) for trace in traces)
        text = _("Deleted %(traces)d traces with %(events)d events.") % {"traces": len(traces), "events": deleted}
        self.message_user(request, text)
        return None

    @admin.action(description=_("Ask selected traces to stop"))
    def stop_selected(self, request: HttpRequest, queryset: QuerySet[Trace]) -> None:
        """Those that run, and that the user may stop."""
        asked, refused = 0, 0
        for trace in queryset.filter(state=Trace.State.RUNNING):
            try:
                request_stop_as(request, trace.trace_id, None, "admin")
                asked += 1
            except (PermissionDenied, NotStoppableError):
                refused += 1
        self.message_user(request, _("Asked %(asked)d traces to stop.") % {"asked": asked})
        if refused:
            text = _("%(refused)d traces have ended meanwhile, or are not yours to stop.") % {"refused": refused}
            self.message_user(request, text, messages.WARNING)

    @admin.display(description=_("duration"))
    def duration_text(self, trace: Trace) -> str:
        """In the unit that people read."""
        return milliseconds(trace.duration / timedelta(milliseconds=1))

    @admin.display(description=_("newest events"))
    def newest_events(self, trace: Trace) -> SafeString:
        """A table of the last events, and the way to all of them."""
        events = Event.objects.using(database()).filter(trace=trace)
        newest = list(events.order_by("-sequence")[:SHOWN_EVENTS])[::-1]
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
            (
                (e.sequence, local_time(e.timestamp).strftime("%H:%M:%S.%f")[:-3], e.event, e.status, e.details[:120])
                for e in newest
            ),
        )
        return format_html(
            "<table><thead><tr><th>#</th><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead>"
            '<tbody>{}</tbody></table><p><a href="{}?trace__id__exact={}">{}</a></p>',
            _("time"),
            _("event"),
            _("status"),
            _("details"),
            rows,
            reverse("admin:trace_streaming_event_changelist", current_app=self.admin_site.name),
            trace.pk,
            _("All events of this trace"),
        )


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Events; usually those of one trace, from its page."""

    list_display = ("sequence", "trace", "event", "status", "tool_name", "took", "timestamp")
    list_display_links = ("sequence",)
    list_select_related = ("trace",)
    list_filter = (NameFilter, StatusFilter, "timestamp")
    search_fields = ("trace__trace_id", "tool_name")
    ordering = ("-pk",)
    fields = ("trace", "sequence", "event", "status", "timestamp", "tool_name", "duration_ms", "details_text")
    readonly_fields = ("duration_ms", "details_text")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """One trace may be asked for; offering all of them as a filter would list a million."""
        return lookup == "trace__id__exact" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """Without the text, which may be large, where only a list is shown."""
        queryset = super().get_queryset(request).select_related("trace")
        match = request.resolver_match
        return queryset.defer("text") if match and match.url_name == "trace_streaming_event_changelist" else queryset

    @admin.display(description=_("duration"), ordering="measure")
    def took(self, event: Event) -> str | None:
        """How long a tool ran, or an approval waited, in the unit that people read."""
        is_time = event.event in CALL_ENDS or event.event == "approval_received"
        return milliseconds(event.measure) if is_time and event.measure is not None and event.measure >= 0 else None

    @admin.display(description=_("details"))
    def details_text(self, event: Event) -> SafeString:
        """The JSON, indented."""
        text = orjson.dumps(orjson.loads(event.details), option=orjson.OPT_INDENT_2).decode()
        return format_html("<pre>{}</pre>", text)


@admin.register(StreamServer)
class StreamServerAdmin(ReadOnlyAdmin):
    """The processes that serve sockets now."""

    list_display = ("host", "pid", "started_at", "seen_at", "connections", "traces")
    exclude = ("watchers",)  # a thousand; the list of traces has them

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """Without those that died."""
        return super().get_queryset(request) & living()
