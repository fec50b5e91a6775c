"""What a connection's task does while something has to be waited for: runs the subscription, and says how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from trace_streaming.telemetry.logs import connection_name, describe
from trace_streaming.wire.protocol import FAILED, CloseCode, Ending

from .subscription import Subscription

logger = logging.getLogger(__name__)

GONE: Final = Ending(CloseCode.GOING_AWAY, "You take nothing any more; connect again")


async def run_pump(subscription: Subscription, scope: Mapping[str, Any]) -> Ending | None:
    """Run a subscription until all is sent, or its connection is to end.

    :param scope: of the connection, for the log
    :returns: why the connection is to end: ``GONE`` when the client does not take it, ``FAILED`` after a bug; None when
        all is sent
    """
    try:
        await subscription.run()
    except asyncio.CancelledError:
        if subscription.ending is None:
            raise
        return subscription.ending
    except OSError:
        return GONE
    except Exception as error:
        position = {"trace_id": subscription.trace_id, "sequence": subscription.position}
        where = {**position, "connection": connection_name(scope)}
        logger.error("A subscription failed: %s", describe(error), extra=where)
        return FAILED
    return None
