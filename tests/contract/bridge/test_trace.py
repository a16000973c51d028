"""One request's trace is never another one's, however close they come on one connection."""

import asyncio

from tests.contract.bridge.running import CALLER, bridge_on_a_socket

TRACES = ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None, "00-" + "1" * 32 + "-" + "2" * 16 + "-00"]


def send(trace: str | None) -> bytes:
    body = b'{"target":"t","arguments":[]}'
    lines = [
        "POST /hubs/chat/send HTTP/1.1",
        "Host: bridge",
        f"X-API-Key: {CALLER}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([] if trace is None else [f"traceparent: {trace}"]),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_pipelined_requests_have_traces_of_their_own() -> None:
    async with bridge_on_a_socket() as (port, service):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(map(send, TRACES)))
        for _ in TRACES:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            assert b" 202 " in head, head
            (length,) = (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
        writer.close()
        seen = [one.headers.get("traceparent") for one in service.requests if "/connections/probe" not in one.target]
    assert seen == TRACES
