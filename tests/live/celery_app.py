"""The live tests' site as Celery's workers load it."""

import os

from celery import Celery

from tests.live.ending import emit

app = Celery("tests.live", broker=os.environ["REDIS_URL"])
app.conf.update(worker_prefetch_multiplier=1, task_ignore_result=True, broker_connection_retry_on_startup=True)
app.task(name="emit")(emit)
