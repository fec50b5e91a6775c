"""A project whose router gives the app, and the users, a database of their own."""

import os

from tests.live.settings import *  # noqa: F403
from tests.live.settings import DATABASES

DATABASES["agents"] = DATABASES["default"]
DATABASES["default"] = {**DATABASES["agents"], "NAME": os.environ["TEST_OTHER_DATABASE"]}
DATABASE_ROUTERS = ["tests.routing.routers.OwnDatabase"]
