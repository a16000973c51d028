"""A refused connection is closed by us: the service itself would only log that it was refused."""

import logging

from signalr_bridge.errors import BridgeError
from signalr_bridge.upstream.context import Context

_LOG = logging.getLogger("signalr_bridge.upstream")

# A reason travels in a URL; this many characters fit even when each takes twelve bytes there.
_LONGEST_REASON = 500


async def close_refused(context: Context, reason: str) -> None:
    """Close it at the endpoint that vouched (all, if unknown); what goes wrong is logged."""
    try:
        await context.connections.close(context.connection_id, reason[:_LONGEST_REASON] or None)
    except BridgeError as error:
        _LOG.warning("a refused connection could not be closed", extra={"hub": context.hub, "why": error.detail})
    except Exception:  # it stays refused, whatever happened
        _LOG.exception("a refused connection could not be closed", extra={"hub": context.hub})
