"""Why there is no credential, in words that hold no secret: never the text of a library or of an answer."""

import asyncio
from typing import Any


class CredentialFailure(Exception):
    """``reason`` may be shown; ``retry_after`` (seconds) is what the issuer asked for.

    ``forbidden``: the service itself refused to issue a key, for the identity has no role that may have one.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, forbidden: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.retry_after, self.forbidden = reason, retry_after, forbidden


def explain_failure(error: Exception) -> CredentialFailure:
    """What a library raised, as a failure."""
    if isinstance(error, CredentialFailure):
        return error
    if isinstance(error, TimeoutError | asyncio.IncompleteReadError):
        return CredentialFailure("no answer in time")
    response: Any = find_response(error)
    if response is None:
        return CredentialFailure(f"failed: {type(error).__name__}")
    retry_after = read_retry_after(str(response.headers.get("Retry-After", "")))
    return CredentialFailure(f"status {int(response.status_code)}", retry_after=retry_after)


def find_response(error: BaseException | None) -> Any:
    """The HTTP answer that an error of Azure's libraries came from, perhaps over others."""
    for _ in range(8):
        if error is None:
            return None
        response = getattr(error, "response", None)
        if response is not None and hasattr(response, "status_code"):
            return response
        error = error.__cause__ or error.__context__
    return None


def read_retry_after(text: str) -> float | None:
    """Whole seconds; a date is not taken."""
    text = text.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
