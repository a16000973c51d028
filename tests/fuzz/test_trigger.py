"""Whatever reaches the trigger, its answer is a status of the table, and never 200 for a call nobody vouched for."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given
from signalr_bridge.main import create_app
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings import Settings
from signalr_bridge.upstream.authenticator import ServiceIdentity, VerificationKey, Verifier, build_authenticator
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.entra import EntraTokens
from signalr_bridge.upstream.receiver import build_receiver
from signalr_bridge.web.issuer_keys import KeyCache
from signalr_bridge.web.observer import SILENT
from starlette.types import Message

from tests.fuzz.calls import CODE, KEY, Call, calls
from tests.fuzz.profile import PROFILE
from tests.unit.upstream.fakes import FakeHandler, FakeOutbox
from tests.unit.upstream.issued import RULES, FakeClock, FakeIssuer

# No handler of these tests fails, so 500 is not among them; nor is 403, which a handler's refusal is.
TABLE = {200, 400, 401, 404, 413, 415}
VERIFIERS: list[Verifier] = [VerificationKey("eastus", KEY), ServiceIdentity("westus")]
SETTINGS = Settings.model_validate({"upstream": {"code": [CODE]}, "limits": {"upstream_bytes": 2000}})


class Echo(FakeHandler):
    """Looks at everything that a context offers, and gives the arguments back."""

    async def answer(self, context: Context) -> Payload:
        self.seen.append(context)
        assert not (context.claims_exact and "bridge.claims" in (context.user_id or ""))
        return [context.arguments, context.query, context.headers, context.claims, repr(context)]


class Bridge:
    """The whole application but its network: what a server hands it, and what it answers."""

    def __init__(self) -> None:
        self.handler = Echo(hub="chat")
        tokens = EntraTokens(RULES, KeyCache(FakeIssuer("first").fetch, FakeClock(0.0), observer=SILENT), FakeClock())
        self.app = create_app(SETTINGS)
        known = build_authenticator(SETTINGS, lambda hub: VERIFIERS, lambda entra: tokens)
        receiver = build_receiver(
            lambda: known, [self.handler], FakeOutbox(), most_bytes=2000, observer=SILENT, clock=RUNTIME.clock
        )
        self.app.front.parts = replace(self.app.state.parts, receiver=receiver)

    async def post(self, call: Call, path: str = "/upstream") -> list[Message]:
        arriving = [{"type": "http.request", "body": piece, "more_body": True} for piece in call.pieces]
        arriving.append({"type": "http.request", "body": b"", "more_body": False})
        answered: list[Message] = []

        async def receive() -> Message:
            return arriving.pop(0) if arriving else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            answered.append(message)

        await self.app(self._scope(call, path), receive, send)
        return answered

    def _scope(self, call: Call, path: str) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": call.query,
            "headers": call.lines,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }


@pytest.fixture(scope="module")
def bridge() -> Bridge:
    return Bridge()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A refusal is no news here, and thousands of them are slow to collect."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@PROFILE
@given(call=calls())
def test_the_answer_is_one_of_the_table(bridge: Bridge, call: Call) -> None:
    bridge.handler.seen.clear()
    start, *rest = asyncio.run(bridge.post(call))
    status, body = start["status"], b"".join(message["body"] for message in rest)
    note(f"{status}, {'vouched' if call.vouched else 'not vouched'}")
    assert status in TABLE
    assert (b"content-length", str(len(body)).encode()) in start["headers"]
    assert call.vouched or status == 401
    assert call.vouched or bridge.handler.seen == []
    assert CODE.encode() not in body
    assert KEY.encode() not in body
