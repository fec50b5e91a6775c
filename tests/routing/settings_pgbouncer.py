"""As Django's documentation has it for a pooler of transactions."""

from cuga_site.settings import *  # noqa: F403
from cuga_site.settings import DATABASES

DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
