"""What is stored: a trace, and its append-only, numbered events."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

import orjson
from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


def stored_now() -> datetime:
    """The time of this machine, as a column takes it: in UTC, naive in a project without time zones."""
    now = datetime.now(UTC)
    return now if settings.USE_TZ else now.replace(tzinfo=None)


def new_epoch() -> str:
    """A fresh name for one life of a trace id: a trace that was deleted and began again has another."""
    return secrets.token_hex(8)


def showable(time: datetime) -> datetime:
    """The same, or the nearest that every time zone can show: of the calendar's first and last year, none is sure to.

    New events have no such times; what earlier versions have stored breaks no page.
    """
    year = min(max(time.year, 2), 9998)
    return time if time.year == year else time.replace(year=year, month=6, day=15)


class ShowableTimes(models.Model):
    """What is read has times that every time zone can show."""

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """See :func:`showable`; what it takes differs between Django's versions."""
        row = super().from_db(*args, **kwargs)
        stored = vars(row)
        for name in cls._TIMES:
            if (time := stored.get(name)) is not None and not 1 < time.year < 9999:
                stored[name] = showable(time)
        return row

    _TIMES: ClassVar[tuple[str, ...]] = ()


class Trace(ShowableTimes):
    """The log of one run, and where it ends. Written by the recorder alone."""

    class State(models.TextChoices):
        """Whether more events are to be expected."""

        RUNNING = "running", _("running")
        SUCCESS = "success", _("success")
        ERROR = "error", _("error")
        INCOMPLETE = "incomplete", _("incomplete")

    _TIMES = ("started_at", "last_event_at", "ended_at")

    trace_id = models.CharField(_("trace id"), max_length=128, unique=True)
    epoch = models.CharField(_("epoch"), max_length=16, default=new_epoch)
    state = models.CharField(_("state"), max_length=16, choices=State.choices, default=State.RUNNING)
    started_at = models.DateTimeField(_("started"))
    last_event_at = models.DateTimeField(_("last event"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    stored_at = models.DateTimeField(
        _("last stored"),
        default=stored_now,
        help_text=_("By the clock of whoever stored it; events have times of their own, of any clock."),
    )
    last_sequence = models.PositiveBigIntegerField(_("last sequence"), default=0)
    event_count = models.PositiveBigIntegerField(_("events"), default=0)
    error_count = models.PositiveBigIntegerField(_("errors"), default=0)
    lost_count = models.PositiveBigIntegerField(
        _("lost"), default=0, help_text=_("Events that were emitted and could not be kept: the queue was full.")
    )
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    name = models.CharField(_("name"), max_length=200, default="", blank=True)
    conversation = models.CharField(
        _("conversation"), max_length=200, default="", blank=True, help_text=_("What several traces are parts of.")
    )
    tags = models.JSONField(_("tags"), default=list, blank=True)
    model_calls = models.PositiveBigIntegerField(_("calls of models"), default=0)
    tool_calls = models.PositiveBigIntegerField(_("calls of tools"), default=0)
    input_tokens = models.PositiveBigIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveBigIntegerField(_("output tokens"), default=0)
    cost = models.FloatField(_("cost"), null=True, blank=True, help_text=_("Of the models, in US dollars."))
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
    )

    owned_by_sender = models.BooleanField(
        _("owned by its sender"),
        default=False,
        help_text=_("Its owner began it over the API. The project's own word, if it names an owner, replaces that."),
    )

    class Meta:
        verbose_name = _("trace")
        verbose_name_plural = _("traces")
        ordering = ["-started_at", "-pk"]
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="trace_streaming_started"),
            models.Index(fields=["state", "stored_at"], name="trace_streaming_stored"),
            models.Index(
                fields=["name", "-started_at", "-id"], condition=~models.Q(name=""), name="trace_streaming_name"
            ),
            models.Index(
                fields=["conversation", "-started_at", "-id"],
                condition=~models.Q(conversation=""),
                name="trace_streaming_conversation",
            ),
            models.Index(fields=["cost"], condition=models.Q(cost__isnull=False), name="trace_streaming_cost"),
            models.Index(
                models.F("input_tokens") + models.F("output_tokens"),
                condition=models.Q(model_calls__gt=0),
                name="trace_streaming_tokens",
            ),
        ]

    def __str__(self) -> str:
        return self.trace_id

    @property
    def duration(self) -> timedelta:
        """From the first event to the end, or to the last event while the trace runs; as their senders tell the time.

        Never below nothing: a sender's clock may say that the end was before the start.
        """
        return max((self.ended_at or self.last_event_at) - self.started_at, timedelta(0))


class TraceTag(models.Model):
    """One tag of a trace, to find it by; the trace itself has them in their order."""

    trace = models.ForeignKey(Trace, verbose_name=_("trace"), on_delete=models.CASCADE, related_name="tag_rows")
    tag = models.CharField(_("tag"), max_length=100)

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        indexes = [models.Index(fields=["tag", "trace"], name="trace_streaming_tag")]

    def __str__(self) -> str:
        return self.tag


class ModelCall(models.Model):
    """What is known of one call of a model that ended: what signals of models are made of. Its event has all else."""

    trace = models.ForeignKey(
        Trace, verbose_name=_("trace"), on_delete=models.CASCADE, related_name="ended_model_calls", db_index=False
    )
    sequence = models.PositiveBigIntegerField(_("sequence"), help_text=_("Of the event that ended it."))
    timestamp = models.DateTimeField(_("time"))
    model = models.CharField(_("model"), max_length=200, blank=True)
    is_failed = models.BooleanField(_("failed"), default=False)
    is_neither = models.BooleanField(_("neither succeeded nor failed"), default=False)
    latency_ms = models.FloatField(_("milliseconds"), null=True)
    first_chunk_ms = models.FloatField(_("milliseconds to the first chunk"), null=True)
    input_tokens = models.PositiveBigIntegerField(_("input tokens"), null=True)
    output_tokens = models.PositiveBigIntegerField(_("output tokens"), null=True)
    cost = models.FloatField(_("cost"), null=True, help_text=_("In US dollars."))

    class Meta:
        verbose_name = _("call of a model")
        verbose_name_plural = _("calls of models")
        constraints = [
            models.UniqueConstraint(fields=["trace", "sequence"], name="trace_streaming_model_call_sequence"),
        ]
        indexes = [models.Index(fields=["timestamp", "model"], name="trace_streaming_models")]

    def __str__(self) -> str:
        return f"{self.sequence} {self.model}"


class Event(ShowableTimes):
    """One numbered event. Inserted once, never changed."""

    _TIMES = ("timestamp",)

    trace = models.ForeignKey(
        Trace, verbose_name=_("trace"), on_delete=models.CASCADE, related_name="events", db_index=False
    )
    sequence = models.PositiveBigIntegerField(_("sequence"))
    event = models.CharField(_("event"), max_length=64)
    status = models.CharField(_("status"), max_length=16)
    timestamp = models.DateTimeField(_("time"))
    text = models.TextField(
        _("text"),
        help_text=_("The JSON object that watchers are sent, byte for byte: a JSON column would reorder its keys."),
    )
    tool_name = models.CharField(_("tool"), max_length=200, null=True, blank=True)  # noqa: DJ001  absent is not ""
    event_id = models.CharField(  # noqa: DJ001  absent is not ""
        _("event id"),
        max_length=64,
        null=True,
        blank=True,
        help_text=_("The sender's own name for it, where there is one: a repeat is not stored again."),
    )
    measure = models.FloatField(
        _("measure"),
        null=True,
        blank=True,
        help_text=_("What golden signals take of it: milliseconds, or a share. Below 0: not known."),
    )

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["trace", "sequence"]
        constraints = [
            models.UniqueConstraint(fields=["trace", "sequence"], name="trace_streaming_event_sequence"),
            # Partial: events without an id, which are most, cost it nothing.
            models.UniqueConstraint(
                fields=["trace", "event_id"],
                condition=models.Q(event_id__isnull=False),
                name="trace_streaming_event_id",
            ),
        ]
        indexes = [
            # Signals of a window are read from it alone, where the database can.
            models.Index(
                fields=["timestamp", "event", "measure", "tool_name", "trace"],
                condition=models.Q(measure__isnull=False),
                name="trace_streaming_signals",
            )
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.event}"

    @property
    def details(self) -> str:
        """JSON object text, as it was emitted."""
        return self.text[self._place_of_details]

    def text_with(self, details: str) -> str:
        """The event's text with other details, JSON object text."""
        place = self._place_of_details
        return f"{self.text[: place.start]}{details}{self.text[place.stop :]}"

    @property
    def _place_of_details(self) -> slice:
        # Where ``event_text`` has put them. Nothing before them has a quote of its own; behind them quotes are escaped.
        return slice(self.text.index('"details":') + 10, self.text.rindex(',"status":"'))

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds; None where it says none."""
        duration: float | None = orjson.loads(self.text).get("duration_ms")
        return duration


class Approval(models.Model):
    """What an agent has asked a human, and the one decision that was taken."""

    approval_id = models.CharField(_("approval id"), max_length=64, unique=True)
    trace_id = models.CharField(_("trace id"), max_length=128, db_index=True)
    action = models.CharField(_("action"), max_length=200)
    tool_name = models.CharField(_("tool"), max_length=200, blank=True)
    risk_level = models.CharField(_("risk"), max_length=16)
    arguments = models.JSONField(_("arguments"), default=dict, help_text=_("As humans see them: redacted."))
    arguments_hash = models.CharField(_("hash of the arguments"), max_length=64)
    allowed = models.JSONField(_("allowed decisions"), default=list)
    schema = models.JSONField(_("JSON schema of the arguments"), null=True)
    requested_at = models.DateTimeField(_("requested"))
    expires_at = models.DateTimeField(_("expires"))
    decision = models.CharField(_("decision"), max_length=16, blank=True, help_text=_("Empty while it is open."))
    decided_at = models.DateTimeField(_("decided"), null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("decided by"), on_delete=models.SET_NULL, related_name="+", null=True
    )
    decided_by_name = models.CharField(_("name of who decided"), max_length=254, blank=True)
    channel = models.CharField(_("decided through"), max_length=16, blank=True)
    comment = models.TextField(_("comment"), blank=True)
    edited_arguments = models.JSONField(_("edited arguments"), null=True, help_text=_("As humans see them: redacted."))
    edited_sealed = models.TextField(
        _("edited arguments, sealed"),
        blank=True,
        help_text=_("As they were written, for the agent alone: encrypted with SECRET_KEY."),
    )
    on_decision = models.CharField(
        _("called when it is decided"), max_length=300, blank=True, help_text=_("A dotted path, signed.")
    )
    group = models.CharField(
        _("asked with"), max_length=64, blank=True, help_text=_("What is asked together is called for once.")
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked by"),
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        help_text=_("From a program elsewhere: whose token it has."),
    )
    call_at = models.DateTimeField(
        _("to be called"), null=True, help_text=_("Of what is decided; empty when it was called.")
    )

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        ordering = ["-requested_at", "-pk"]
        indexes = [
            models.Index(fields=["decision", "expires_at"], name="trace_streaming_undecided"),
            models.Index(fields=["-requested_at", "-id"], name="trace_streaming_asked"),
            models.Index(fields=["call_at"], name="trace_streaming_uncalled"),
        ]
        permissions = [("decide_approval", _("Can decide approvals"))]

    def __str__(self) -> str:
        return f"{self.action} ({self.trace_id})"


class StopRequest(models.Model):
    """That somebody has asked a trace's run to stop."""

    trace_id = models.CharField(_("trace id"), max_length=128, db_index=True)
    requested_at = models.DateTimeField(_("requested"))
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("requested by"), on_delete=models.SET_NULL, related_name="+", null=True
    )
    requested_by_name = models.CharField(_("name of who requested it"), max_length=254, blank=True)
    channel = models.CharField(_("requested through"), max_length=16)
    comment = models.TextField(_("comment"), blank=True)
    is_standing = models.BooleanField(_("stands"), default=True, help_text=_("Until the trace ends."))

    class Meta:
        verbose_name = _("request to stop")
        verbose_name_plural = _("requests to stop")

    def __str__(self) -> str:
        return self.trace_id


class Notification(models.Model):
    """That somebody is to be told of an approval that waits, or of a trace that failed. Deleted when he was."""

    kind = models.CharField(_("kind"), max_length=16)
    subject = models.CharField(_("subject"), max_length=200)
    trace_id = models.CharField(_("trace id"), max_length=128)
    target = models.CharField(
        _("target"), max_length=64, help_text=_("SHA-256 of the address: many a webhook's is a secret.")
    )
    noted_at = models.DateTimeField(_("noted"))
    due_at = models.DateTimeField(_("due"), db_index=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [models.UniqueConstraint(fields=["kind", "subject", "target"], name="trace_streaming_noted")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class HiddenValue(models.Model):
    """That a value was hidden in a trace, for the process that goes on with it: a keyed digest, nothing else of it."""

    trace = models.ForeignKey(
        Trace, verbose_name=_("trace"), on_delete=models.CASCADE, related_name="+", db_index=False
    )
    digest = models.CharField(_("digest"), max_length=64)

    class Meta:
        verbose_name = _("hidden value")
        verbose_name_plural = _("hidden values")
        constraints = [models.UniqueConstraint(fields=["trace", "digest"], name="trace_streaming_hidden")]

    def __str__(self) -> str:
        return self.digest


class Ticket(models.Model):
    """Lets one socket watch one trace, once, soon: for clients that can send neither cookies nor headers."""

    digest = models.CharField(_("digest"), max_length=64, primary_key=True, help_text=_("SHA-256 of the ticket."))
    trace_id = models.CharField(_("trace id"), max_length=128)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="+", null=True
    )
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    user_hash = models.CharField(_("session hash of the user"), max_length=128, blank=True)
    session_key = models.CharField(_("session that asked for it"), max_length=40, blank=True)
    token_model = models.CharField(_("kind of the token that asked for it"), max_length=200, blank=True)
    token_key = models.CharField(_("primary key of the token that asked for it"), max_length=255, blank=True)
    valid_until = models.DateTimeField(_("end of the credentials that asked for it"), null=True)

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")

    def __str__(self) -> str:
        return self.trace_id


class SpoolSegment(models.Model):
    """How far a file of the spool is stored: kept in the transaction that stores its records, so none is stored twice.

    It is deleted when the file is; a process that is killed between the two leaves it behind.
    """

    name = models.CharField(_("name"), max_length=400, primary_key=True)
    position = models.PositiveBigIntegerField(_("records stored"))

    class Meta:
        verbose_name = _("spool segment")
        verbose_name_plural = _("spool segments")

    def __str__(self) -> str:
        return self.name


class StreamServer(models.Model):
    """A process that serves sockets. It says every few seconds that it lives; its row is deleted when it ends."""

    name = models.CharField(_("name"), max_length=32, unique=True)
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process id"))
    started_at = models.DateTimeField(_("started"))
    seen_at = models.DateTimeField(_("last seen"))
    connections = models.PositiveIntegerField(_("connections"), default=0)
    traces = models.PositiveIntegerField(_("watched traces"), default=0)
    first_traces = models.JSONField(_("first traces"), default=list, help_text=_("The first ten, in order of name."))
    watchers = models.JSONField(
        _("watchers"), default=dict, help_text=_("Connections by trace, of the thousand with the most.")
    )

    class Meta:
        verbose_name = _("stream server")
        verbose_name_plural = _("stream servers")
        ordering = ["host", "pid"]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class EmitterLease(models.Model):
    """Says that a process that emits is alive. Renewed every few seconds; once it has run out, it never is.

    The process takes another then. The row stays for an hour: one that was stopped in the middle of a transaction may
    still write what it holds.
    """

    sender = models.CharField(_("sender"), max_length=64, blank=True, help_text=_("Of a program elsewhere: its id."))
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process id"), null=True)
    started_at = models.DateTimeField(_("started"))
    expires_at = models.DateTimeField(_("expires"), db_index=True, help_text=_("By the clock of the database."))

    class Meta:
        verbose_name = _("emitter's lease")
        verbose_name_plural = _("emitters' leases")
        indexes = [
            models.Index(fields=["sender"], condition=~models.Q(sender=""), name="trace_streaming_sender"),
        ]

    def __str__(self) -> str:
        return self.sender or f"{self.host}:{self.pid}"


class HeldTrace(models.Model):
    """A trace that a process has open. Deleted by that process, with its lease, or with the trace, and by nobody else.

    So what a process remembers of its own holds is true, and it asks for none of them again.
    """

    trace = models.ForeignKey(Trace, on_delete=models.CASCADE, related_name="holders", db_index=False)
    lease = models.ForeignKey(
        EmitterLease,
        on_delete=models.CASCADE,
        related_name="held",
        db_constraint=False,  # an event must not be refused because its process was stopped for an hour
    )

    class Meta:
        verbose_name = _("held trace")
        verbose_name_plural = _("held traces")
        constraints = [models.UniqueConstraint(fields=["trace", "lease"], name="trace_streaming_held")]

    def __str__(self) -> str:
        return f"{self.trace_id} {self.lease_id}"


class LeftOutSpan(models.Model):
    """A span of OpenTelemetry that is none of an agent's, and what it is inside of: so is what is inside of it.

    Whichever comes first. Kept for a day; a trace may not have begun, and may never.
    """

    trace_id = models.CharField(_("trace id"), max_length=128)
    span_id = models.CharField(_("span id"), max_length=16)
    parent_id = models.CharField(_("parent's span id"), max_length=16, blank=True)
    stored_at = models.DateTimeField(_("stored"), default=stored_now, db_index=True)

    class Meta:
        verbose_name = _("left out span")
        verbose_name_plural = _("left out spans")
        constraints = [models.UniqueConstraint(fields=["trace_id", "span_id"], name="trace_streaming_left_out")]
        indexes = [models.Index(fields=["trace_id", "parent_id"], name="trace_streaming_left_out_in")]

    def __str__(self) -> str:
        return self.span_id


class EndedRoot(models.Model):
    """A root span of OpenTelemetry has ended: so does its trace, once nothing more comes. Kept for a day."""

    trace_id = models.CharField(_("trace id"), max_length=128, unique=True)
    state = models.CharField(_("state"), max_length=16, choices=Trace.State.choices)
    ended_at = models.DateTimeField(_("ended"), help_text=_("Of several roots, the last."))
    stored_at = models.DateTimeField(_("stored"), default=stored_now, db_index=True)
    claimed_at = models.DateTimeField(_("claimed"), null=True, help_text=_("By a process that ends the trace."))

    class Meta:
        verbose_name = _("ended root")
        verbose_name_plural = _("ended roots")

    def __str__(self) -> str:
        return self.trace_id
