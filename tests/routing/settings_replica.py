"""A project whose router reads from a replica."""

import os

from cuga_site.settings import *  # noqa: F403
from cuga_site.settings import DATABASES

DATABASES["default"]["TEST"] = {"NAME": f"{os.environ['TEST_FOLDER']}/default.sqlite3"}
DATABASES["replica"] = {**DATABASES["default"], "TEST": {"NAME": f"{os.environ['TEST_FOLDER']}/replica.sqlite3"}}
DATABASE_ROUTERS = ["tests.routing.routers.ReadsFromReplica"]
