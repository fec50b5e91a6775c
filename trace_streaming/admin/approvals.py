"""Approvals in the admin: all of them to read, the open ones to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from trace_streaming.approvals.decisions import decide_as, open_approvals
from trace_streaming.exceptions import ApprovalConflictError, InvalidDecisionError
from trace_streaming.models import Approval, in_order
from trace_streaming.permissions import find_trace, may_decide, may_watch
from trace_streaming.storage.store import database

from .date_hierarchy import ByPeriod
from .read_only import ReadOnlyAdmin

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Approval]
else:
    ModelForm = forms.ModelForm


class ArgumentsField(forms.JSONField):
    """Arguments as JSON, of which nothing is made but what a human has written and an agent can be told."""

    def to_python(self, value: Any) -> Any:
        """Django's own takes NaN and halves of characters, and fails at what is nested too deeply."""
        try:
            if isinstance(value, str) and value:
                orjson.loads(value)
            return super().to_python(value)
        except (ValueError, RecursionError):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        """As it was written."""
        return None if data is None else InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        """In the order that it is in: JSON has such signs in texts alone, where an escape means the same."""
        return in_order(super().prepare_value(value))


class DecisionForm(ModelForm):
    """What a human decides."""

    request: ClassVar[HttpRequest]
    """Of whoever decides; each request has a class of its own."""

    decision = forms.ChoiceField(label=_("decision"), widget=forms.RadioSelect)
    edited = ArgumentsField(
        label=_("edited arguments"), required=False, help_text=_("With the decision “edited”: all arguments, as JSON.")
    )
    arguments_hash = forms.CharField(widget=forms.HiddenInput)
    comment = forms.CharField(label=_("comment"), required=False, widget=forms.Textarea(attrs={"rows": 2}))

    class Meta:
        model = Approval
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["decision"].choices = [(each, each) for each in self.instance.allowed]  # type: ignore[attr-defined]
        self.initial["decision"] = None
        self.initial["edited"] = self.instance.arguments
        self.initial["arguments_hash"] = self.instance.arguments_hash

    def clean(self) -> dict[str, Any]:
        """Decide: whether it can be is known when it is done."""
        said = super().clean() or self.cleaned_data
        if self.errors:
            return said
        if said["decision"] != "edited":
            said["edited"] = None
        approval = self.instance
        try:
            self.instance = decide_as(self.request, approval.trace_id, approval.approval_id, said, "admin")
        except (InvalidDecisionError, ApprovalConflictError, PermissionDenied) as error:
            raise forms.ValidationError(str(error)) from None
        return said

    def _post_clean(self) -> None:
        """The row is written by the decision alone."""

    def save(self, commit: bool = True) -> Approval:
        """Nothing is left to do."""
        return self.instance

    def save_m2m(self) -> None:
        """Nor here."""


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """What agents have asked, newest first; whoever may decides an open one on its page."""

    form = DecisionForm  # type: ignore[assignment]
    list_display = (
        "action_text",
        "tool_text",
        "risk_level",
        "trace_id",
        "requested_at",
        "decision_text",
        "decided_by_name",
    )
    list_filter = ("decision", "risk_level", "requested_at")
    search_fields = ("trace_id", "action", "tool_name")
    date_hierarchy = "requested_at"
    asked = (
        *("action_text", "tool_text", "risk_level", "trace_id", "arguments_text", "requested_at", "expires_at"),
        *("decision_text", "decided_at", "decided_by_name", "channel", "comment_text", "edited_text"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """One whose date hierarchy every database can tell."""
        return ByPeriod(Approval, using=database()).order_by(*self.get_ordering(request))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """To decide one that is open, of a trace that may be watched."""
        if not isinstance(obj, Approval) or not open_approvals().filter(pk=obj.pk).exists():
            return False
        return may_watch(request, find_trace(obj.trace_id)) and may_decide(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """A form that knows who decides."""
        form = super().get_form(request, obj, change, **{**kwargs, "fields": ()})
        return type(form.__name__, (form,), {"request": request})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What was asked; and what is to be said to it, if it is still open."""
        asked = (None, {"fields": self.asked})
        if not self.has_change_permission(request, obj):
            return (asked,)
        return (asked, (_("Decide"), {"fields": ("decision", "edited", "comment", "arguments_hash")}))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What was asked."""
        return self.asked

    @admin.display(description=_("action"), ordering="action")
    def action_text(self, approval: Approval) -> str:
        """As it is to be read."""
        return in_order(approval.action)

    @admin.display(description=_("tool"), ordering="tool_name")
    def tool_text(self, approval: Approval) -> str:
        """As it is to be read."""
        return in_order(approval.tool_name)

    @admin.display(description=_("decision"), ordering="decision")
    def decision_text(self, approval: Approval) -> str:
        """Open ones say so."""
        return approval.decision or str(_("open"))

    @admin.display(description=_("comment"))
    def comment_text(self, approval: Approval) -> str:
        """Of whoever decided."""
        return in_order(approval.comment)

    @admin.display(description=_("arguments"))
    def arguments_text(self, approval: Approval) -> SafeString:
        """As JSON, indented."""
        return _as_json(approval.arguments)

    @admin.display(description=_("edited arguments"))
    def edited_text(self, approval: Approval) -> SafeString | str:
        """As JSON, indented."""
        return "" if approval.edited_arguments is None else _as_json(approval.edited_arguments)


def _as_json(value: Any) -> SafeString:
    return format_html("<pre>{}</pre>", in_order(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()))
