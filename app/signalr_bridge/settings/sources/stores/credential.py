"""The bridge's own identity before the stores: the default credential, whose tokens outlive one reading."""

import logging
import time
from typing import Any


class StoreCredential:
    """An ``AsyncTokenCredential``. Every reading has its own event loop, so that the library's cache would not last."""

    def __init__(self, authority: str | None) -> None:
        self._authority = authority
        self._tokens: dict[str, Any] = {}

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        from azure.core.credentials import AccessToken

        found = await self._find(scopes)
        return AccessToken(found.token, found.expires_on)

    async def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        return await self._find(scopes)

    async def _find(self, scopes: tuple[str, ...]) -> Any:
        """A store may name its tenant; ours is that of the credential, as everywhere."""
        known = " ".join(scopes)
        token = self._tokens.get(known)
        if token is None or token.expires_on - time.time() < 300:
            token = self._tokens[known] = await self._ask(scopes)
        return token

    async def _ask(self, scopes: tuple[str, ...]) -> Any:
        from azure.identity.aio import DefaultAzureCredential

        # What the library logs may quote an answer.
        logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
        more = {} if self._authority is None else {"authority": self._authority}
        async with DefaultAzureCredential(**more) as credential:
            return await credential.get_token_info(*scopes)

    async def close(self) -> None:
        """Nothing stays open."""

    async def __aenter__(self) -> "StoreCredential":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing stays open."""
