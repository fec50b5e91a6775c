"""The site as several processes run it: the layer, and how often it looks at the heads, come from the environment."""

import json
import os

from tests.live.settings import *  # noqa: F403
from tests.live.settings import CHANNEL_LAYERS, DATABASES

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"timed": {"format": "%(asctime)s %(process)d %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "timed"}},
    "loggers": {"trace_streaming": {"handlers": ["stderr"], "propagate": False}},
}
if layer := os.environ.get("TEST_CHANNEL_LAYER"):
    CHANNEL_LAYERS["default"]["BACKEND"] = layer
if layer := os.environ.get("TEST_LAYER"):
    CHANNEL_LAYERS["default"] = json.loads(layer)
    if "channels_postgres" in layer:
        INSTALLED_APPS = [*INSTALLED_APPS, "channels_postgres"]  # noqa: F405
if seconds := os.environ.get("TEST_HEAD_CHECK_SECONDS"):
    TRACE_STREAMING_HEAD_CHECK_SECONDS = float(seconds)
if folder := os.environ.get("TEST_SPOOL_DIR"):
    TRACE_STREAMING_SPOOL_DIR = folder
    TRACE_STREAMING_QUEUE_SIZE = 200
if os.environ.get("TEST_DATABASE_POOL"):
    DATABASES["default"]["OPTIONS"] = {"pool": {"timeout": 1}}
if os.environ.get("TEST_POOLER"):
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
