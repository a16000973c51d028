"""How long a caller is willing to wait: the header ``X-Request-Timeout``."""

import re
from typing import Annotated

from fastapi import Depends, Request

from signalr_bridge.errors import InvalidHeader

_SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")


async def read_deadline(request: Request) -> float | None:
    """Seconds from 0.1 to 100, or None when the caller says nothing. Raises ``InvalidHeader``."""
    text = request.headers.get("x-request-timeout")
    if text is None:
        return None
    if not _SECONDS.fullmatch(text) or not 0.1 <= float(text) <= 100:
        raise InvalidHeader("X-Request-Timeout is a number of seconds from 0.1 to 100.")
    return float(text)


Deadline = Annotated[float | None, Depends(read_deadline)]
