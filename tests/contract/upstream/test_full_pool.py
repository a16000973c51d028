"""Events that find no connection free say nothing about the backend, which is not left alone for it."""

import asyncio
import time

import pytest
from signalr_bridge.upstream.forward.backends import FAILURES_TO_OPEN, Backends
from signalr_bridge.upstream.forward.formats import NoConnection

from tests.unit.wire.scripted_peer import Visit, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def test_a_full_pool_opens_no_breaker() -> None:
    came, may_answer = asyncio.Event(), asyncio.Event()

    async def script(visit: Visit) -> None:
        while True:
            await visit.request()
            came.set()
            await may_answer.wait()
            await visit.write(OK)

    async with scripted(script) as peer, Backends(time.monotonic, connections=1) as backends:
        running = asyncio.create_task(backends.post(peer.http, f"{peer.http}/x", b"{}", {}, 30))
        await came.wait()
        for _ in range(FAILURES_TO_OPEN + 1):
            with pytest.raises(NoConnection):
                await backends.post(peer.http, f"{peer.http}/x", b"{}", {}, 0.05, patient=False)
        may_answer.set()
        assert (await running).status == 200
        assert (await backends.post(peer.http, f"{peer.http}/x", b"{}", {}, 5)).status == 200
