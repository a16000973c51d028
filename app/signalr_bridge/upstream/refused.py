"""A connection that a handler refused: it is noted, so that its client does not come back at once, and closed."""

import logging

from signalr_bridge.errors import BridgeError
from signalr_bridge.upstream.context import Context
from signalr_bridge.web.refusals import Refusals

# A reason travels in a URL. This many characters fit even when each takes twelve bytes there.
_LONGEST_REASON = 500

_LOG = logging.getLogger("signalr_bridge.upstream")


async def close_refused(context: Context, reason: str, refusals: Refusals | None = None) -> None:
    """Close a connection that a handler refused. An error is logged, and not raised.

    It is closed at the endpoint that called, or at all endpoints when that one is not known. Its client may be back
    before that has ended, so the refusal is noted first.

    Args:
        context: The context of the event that was refused.
        reason: What the client is told.
        refusals: Where the refusal is noted.
    """
    if refusals is not None:
        refusals.refuse(context.negotiation_mark, reason)
    try:
        await context.connections.close(context.connection_id, reason[:_LONGEST_REASON] or None)
    except BridgeError as error:
        _LOG.warning("a refused connection could not be closed", extra={"hub": context.hub, "reason": error.detail})
    except Exception:  # the connection stays refused, whatever happened
        _LOG.exception("a refused connection could not be closed", extra={"hub": context.hub})
