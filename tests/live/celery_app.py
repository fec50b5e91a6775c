"""The live tests' site as Celery's workers load it."""

import os

from celery import Celery

from tests.live.ending import emit

app = Celery("tests.live", broker=os.environ["REDIS_URL"])
app.conf.update(worker_prefetch_multiplier=1, task_ignore_result=True, broker_connection_retry_on_startup=True)
app.task(name="emit")(emit)


def emit_on(trace_id: str) -> None:
    """Until it is told that its time is over."""
    from trace_streaming import TraceEmitter

    with TraceEmitter(trace_id) as emitter:
        while True:
            emitter.emit("plan_created", {"goal": "a long one " * 100})


app.task(name="emit on", soft_time_limit=1)(emit_on)
