"""Metrics for Prometheus, with the extra ``metrics``; without it, nothing is measured.

Events are counted in whole numbers, as often as once per batch and socket, and told to ``prometheus_client`` when it is
asked, or, in its multiprocess mode, every second: one of its counters costs as much as a tenth of a delivery.
No label holds what is not known beforehand: no trace id, no user, no tool. Of models the first hundred have names.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

try:
    import prometheus_client as _prometheus
except ImportError:
    _prometheus = None  # type: ignore[assignment]

IS_AVAILABLE: Final = _prometheus is not None
FLUSH_SECONDS: Final = 1.0
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MODEL_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
_HUMAN_SECONDS: Final = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)

_SOME: Final = 1_000
"""Numbers that wait to be summed up; whoever counts then does it."""

EVENTS: Final = {
    "emitted": "Events that this process was given to record.",
    "recorded": "Events that were stored and committed.",
    "published": "Events that the channel layer took.",
    "delivered": "Events that sockets took; one for each socket.",
    "filtered": "Events that sockets did not ask for; one for each socket.",
    "shed": "Events that were given up: too many, refused, or not stored in time.",
    "spooled": "Events that were written to files of the spool.",
}


class Counts:
    """How many events, since the process started. Of all names in ``EVENTS``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.delivered = self.filtered = 0
        """Changed by the event loop alone, with ``+=``; all others by any thread, with ``add``."""
        self._sums = dict.fromkeys(EVENTS, 0)
        self._new: deque[tuple[str, int]] = deque()
        """What is not in the sums yet."""

    def add(self, name: str, number: int = 1) -> None:
        """Callable from any thread, which waits for no other: see :class:`.RecordQueue` for what that would cost."""
        self._new.append((name, number))
        if len(self._new) >= _SOME and self._lock.acquire(blocking=False):
            try:
                self._sum_up()
            finally:
                self._lock.release()

    def __getattr__(self, name: str) -> int:
        """The number of a name that is changed with ``add``."""
        if name not in EVENTS:
            raise AttributeError(name)
        with self._lock:
            self._sum_up()
            return self._sums[name]

    def renew_lock(self) -> None:
        """In a forked child: a thread that is not here may have held it."""
        self._lock = threading.Lock()

    def _sum_up(self) -> None:
        for _ in range(len(self._new)):
            name, number = self._new.popleft()
            self._sums[name] += number


class _Nothing:
    """A metric that nobody asks for."""

    def labels(self, *labels: str) -> _Nothing:
        return self

    def inc(self, number: float = 1) -> None:
        pass

    def set(self, number: float) -> None:
        pass

    def observe(self, number: float) -> None:
        pass


def _metric(kind: str, name: str, text: str, labels: Iterable[str] = (), **options: Any) -> Any:
    if not IS_AVAILABLE:
        return _Nothing()
    return getattr(_prometheus, kind)(f"trace_streaming_{name}", text, tuple(labels), **options)


class _Flusher:
    """Collected before the counters, because it was registered before them."""

    def describe(self) -> Iterable[Any]:
        return ()

    def collect(self) -> Iterable[Any]:
        flush()
        return ()


counts = Counts()
sources: Final[dict[str, Callable[[], float]]] = {}
"""What the gauges say, by the gauge's name; set by the modules that know it."""
_told: dict[str, int] = {}
_flushing = threading.Lock()
if IS_AVAILABLE:
    _prometheus.REGISTRY.register(_Flusher())

_events: Final = {name: _metric("Counter", f"events_{name}", text) for name, text in EVENTS.items()}
connections: Final = _metric("Counter", "connections", "Attempts to watch.", ("profile", "outcome"))
closes: Final = _metric("Counter", "closes", "Ends of connections: our code, or client.", ("code",))
stalled: Final = _metric("Counter", "stalled_closes", "Sockets given up because they took nothing.")
catch_ups: Final = _metric("Counter", "catch_ups", "Times that a socket began to read the log.", ("cause",))
commit_seconds: Final = _metric("Histogram", "commit_seconds", "Of one batch of records.", buckets=_SECONDS)
delivery_seconds: Final = _metric(
    "Histogram",
    "delivery_seconds",
    "From emit to the sockets of a process, of a batch's newest event.",
    buckets=_SECONDS,
)
approval_wait_seconds: Final = _metric(
    "Histogram", "approval_wait_seconds", "From request to decision or timeout.", ("outcome",), buckets=_HUMAN_SECONDS
)
model_calls: Final = _metric(
    "Counter", "model_calls", "Calls of models that were stored, by what became of them.", ("model", "outcome")
)
model_tokens: Final = _metric("Counter", "model_tokens", "Tokens of models, sent and got.", ("model", "direction"))
model_cost: Final = _metric("Counter", "model_cost_dollars", "What models have cost, where it is known.", ("model",))
model_seconds: Final = _metric(
    "Histogram", "model_seconds", "How long calls of models took.", ("model",), buckets=_MODEL_SECONDS
)
model_first_token_seconds: Final = _metric(
    "Histogram", "model_first_token_seconds", "Until the first piece of an answer.", ("model",), buckets=_MODEL_SECONDS
)
MAX_MODELS: Final = 100
"""With a label of their own; all others are ``other``: anybody may make up names."""
_models: dict[str, None] = {}


def count_model_calls(calls: Iterable[Any]) -> None:
    """Calls that were committed, as :class:`trace_streaming.events.model_signals.Call` has them."""
    if not IS_AVAILABLE:
        return
    for call in calls:
        model = _model(call.model)
        outcome = "neither" if call.is_neither else "error" if call.is_failed else "success"
        model_calls.labels(model, outcome).inc()
        model_tokens.labels(model, "input").inc(call.input_tokens or 0)
        model_tokens.labels(model, "output").inc(call.output_tokens or 0)
        model_cost.labels(model).inc(call.cost or 0)
        if call.latency_ms is not None and not call.is_neither:
            model_seconds.labels(model).observe(call.latency_ms / 1000)
        if call.first_chunk_ms is not None and not call.is_neither:
            model_first_token_seconds.labels(model).observe(call.first_chunk_ms / 1000)


def _model(name: str) -> str:
    if name not in _models:
        if len(_models) >= MAX_MODELS:
            return "other"
        _models[name] = None
    return name


_gauges: Final = {
    name: _metric("Gauge", name, text, multiprocess_mode=mode)
    for name, text, mode in (
        ("open_connections_plain", "Sockets of the plain profile that watch.", "livesum"),
        ("open_connections_v1", "Sockets of trace-stream.v1 that watch.", "livesum"),
        ("subscriptions_behind", "Sockets that read the log, and are not live.", "livesum"),
        ("queue_records", "Records that wait in memory to be stored.", "livesum"),
        ("spool_records", "Records that wait in files to be stored.", "livesum"),
        ("head_check_age_seconds", "Since the newest events of the watched traces were last looked at.", "livemax"),
    )
}


def flush() -> None:
    """Tell Prometheus' client what was counted since the last time."""
    with _flushing:
        for name, counter in _events.items():
            number = getattr(counts, name)
            counter.inc(number - _told.get(name, 0))
            _told[name] = number
        for name, measure in sources.items():
            _gauges[name].set(measure())


def exposition() -> tuple[bytes, str]:
    """All metrics as text, and its content type: of this process, or in the multiprocess mode of all."""
    if (folder := _folder()) is None:
        return _prometheus.generate_latest(), _prometheus.CONTENT_TYPE_LATEST
    from prometheus_client import multiprocess

    flush()
    _forget_the_dead(folder)
    registry = _prometheus.CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return _prometheus.generate_latest(registry), _prometheus.CONTENT_TYPE_LATEST


class _Reporter:
    """The thread that flushes, in the multiprocess mode: another process may be asked."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Once in each process."""
        if self._thread is None and _folder() is not None:
            thread = threading.Thread(target=self._run, name="trace-metrics", daemon=True)
            thread.start()
            self._thread = thread

    def forget(self) -> None:
        """In a forked child: the thread is its parent's, and so is what was counted."""
        self._thread = None
        vars(counts).update(vars(Counts()))
        _told.clear()

    @staticmethod
    def _run() -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            flush()


reporter = _Reporter()


def _folder() -> str | None:
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR") if IS_AVAILABLE else None


def _forget_the_dead(folder: str) -> None:
    """Processes that were killed leave their gauges behind."""
    from prometheus_client import multiprocess

    for file in Path(folder).glob("gauge_live*_*.db"):
        pid = int(file.stem.rsplit("_", 1)[1])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # somebody else was asked at the same moment
                multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            pass  # another user's, and alive


os.register_at_fork(before=_flushing.acquire, after_in_parent=_flushing.release, after_in_child=_flushing.release)
os.register_at_fork(after_in_child=reporter.forget)
os.register_at_fork(after_in_child=counts.renew_lock)
atexit.register(flush)
