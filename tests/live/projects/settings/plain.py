"""nothing: what all others are compared with"""

from tests.live.projects.settings.base import *  # noqa: F403
