"""What the service issues to identities: signing keys, and whole tokens for clients.

Source: ``spec/rest-and-management.md`` 4.1, 4.2 and 7.2.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from signalr_bridge.emulator.identity import TokenCheck, refuse_token
from signalr_bridge.emulator.rest.answers import json_answer, problem, refuse
from signalr_bridge.errors import BadToken, InvalidName, InvalidQuery, Unauthenticated
from signalr_bridge.protocol.access_token import client_audience, client_claims, sign_token
from signalr_bridge.protocol.issued_key import (
    KEY_PATHS,
    TokenRequest,
    read_token_request,
    write_generated_token,
    write_issued_key,
)


class Issuing:
    """``url`` is the emulator's own, ``key`` signs whole tokens."""

    def __init__(self, tokens: TokenCheck, key: str) -> None:
        self._tokens, self._key = tokens, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
        try:
            role = await self._tokens.admit(request)
            if path.lower() in KEY_PATHS:
                return self._issue_key() if role == "owner" else problem(403, "Forbidden")
            wanted = read_token_request(path, query)
            if wanted is None or role not in {"owner", "rest-owner"}:
                return problem(403, "Forbidden")
            return self._issue_token(wanted, str(request.base_url))
        except (Unauthenticated, BadToken) as exc:
            return refuse_token(exc)
        except (InvalidName, InvalidQuery) as exc:
            return refuse("request", exc.detail)

    def _issue_key(self) -> Response:
        return json_answer(write_issued_key(self._tokens.issued.issue()))

    def _issue_token(self, wanted: TokenRequest, url: str) -> Response:
        claims = client_claims(
            audience=client_audience(url, wanted.hub),
            user_id=wanted.user_id,
            claims={},
            now=int(self._tokens.clock()),
            lifetime=wanted.minutes * 60,
            lossless=False,
        )
        return json_answer(write_generated_token(sign_token(claims, self._key)))


def is_issuing(method: str, path: str) -> bool:
    """Whether a request is for ``Issuing``; ``path`` is in lower case."""
    if path in KEY_PATHS:
        return method == "GET"
    return method == "POST" and path.startswith("/api/") and path.endswith("/:generatetoken")
