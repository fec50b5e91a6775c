"""A trace, and its append-only, numbered events."""

from __future__ import annotations

from datetime import timedelta

import orjson
from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .indexes import WithIndexes
from .times import ShowableTimes, new_epoch, stored_now


class Trace(WithIndexes, ShowableTimes):
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


class Event(WithIndexes, ShowableTimes):
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
