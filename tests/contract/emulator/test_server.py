"""The emulator as a server: its port, its end, Ctrl-C, and clients that do not read."""

import asyncio
import logging
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from signalr_bridge.emulator import Emulator, Limits
from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.connection_string import parse_connection_string
from websockets.asyncio.client import connect

from tests.contract.emulator.parties import HANDSHAKE, KEY, Upstream, address, bearer, join, token


async def test_port_0_is_any_port_and_the_connection_string_names_it(emulator: Emulator) -> None:
    assert emulator.port > 0
    assert emulator.connection_string == f"Endpoint=http://localhost;Port={emulator.port};AccessKey={KEY};Version=1.0;"
    assert parse_connection_string(emulator.connection_string).endpoint == emulator.url


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_port_that_is_taken_is_a_clear_error(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"^Port {port} is taken"):
            await Emulator(port, host).start()


@pytest.mark.parametrize(
    ("port", "host", "complaint"),
    [
        (70000, "127.0.0.1", "not a number from 0 to 65535"),
        (-1, "127.0.0.1", "not a number from 0 to 65535"),
        (0, "203.0.113.7", "cannot listen on 203.0.113.7"),
        (0, "nowhere.invalid", "cannot listen on nowhere.invalid"),
    ],
)
async def test_an_address_that_is_none_is_a_clear_error(port: int, host: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        await Emulator(port, host).start()


@pytest.mark.parametrize("keys", [(), ("",), (KEY, "")])
def test_a_key_is_never_empty(keys: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="key"):
        Emulator(keys=keys)


async def test_stop_closes_clients_tells_the_upstream_and_frees_the_port(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    emulator = Emulator(0, upstream=upstream.url, limits=Limits(grace_seconds=0.05))
    await emulator.start()
    async with join(emulator) as peer:
        await upstream.wait_for("connected")
        await emulator.stop()
        assert await peer.receive() == {"type": 7, "allowReconnect": True}
        assert await peer.closed() == 1000
    assert upstream.events == ["connected", "disconnected"]
    await emulator.stop()
    await emulator.start()
    async with join(emulator):
        pass
    await emulator.stop()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_stop_does_not_wait_for_ever_for_the_upstream(upstream: Upstream) -> None:
    async def never(_: object) -> None:
        await asyncio.Event().wait()

    upstream.answer = never  # type: ignore[assignment]
    emulator = Emulator(0, upstream=upstream.url, limits=Limits(grace_seconds=0, stop_seconds=0.05))
    await emulator.start()
    async with join(emulator):
        await upstream.wait_for("connected")
        async with asyncio.timeout(5):
            await emulator.stop()


async def test_a_client_before_its_handshake_does_not_keep_stop_waiting() -> None:
    async with Emulator(0) as emulator:
        socket = await connect(address(emulator, "hub=chat"), additional_headers=bearer(token()), proxy=None)
    await socket.wait_closed()


async def test_refusals_are_no_errors_in_the_log(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = token()
    with pytest.raises(Exception, match="404"):
        await connect(address(emulator, f"hub=chat&id=x&access_token={secret}"), proxy=None)
    async with connect(address(emulator, f"hub=chat&access_token={secret}"), proxy=None):
        pass
    ours = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    assert [record for record in ours if record.levelno >= logging.ERROR] == []
    assert not any(secret in record.getMessage() for record in ours)


async def test_a_client_that_does_not_read_is_dropped_and_keeps_nobody_waiting(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(outgoing_messages=5, grace_seconds=0.05)
    text = "x" * 500_000
    async with Emulator(0, upstream=upstream.url, limits=limits) as emulator:
        deaf = await connect(
            address(emulator, "hub=chat"), additional_headers=bearer(token()), proxy=None, max_queue=1, compression=None
        )
        await deaf.send(HANDSHAKE)
        await upstream.wait_for("connected")
        async with (
            join(emulator) as peer,
            httpx.AsyncClient(base_url=emulator.url, headers=bearer(token()), trust_env=False) as rest,
        ):
            deaf.transport.pause_reading()
            for number in range(100):
                response = await rest.post("/api/hubs/chat/:send", json={"target": "t", "arguments": [number, text]})
                assert response.status_code == 202
                assert (await peer.receive())["arguments"][0] == number
                if upstream.all("disconnected"):
                    break
            call = await upstream.wait_for("disconnected")
        assert call.body == b'{"type":11,"error":"The client did not read its messages."}'
        assert any("was dropped" in record.getMessage() for record in caplog.records)
        deaf.transport.abort()


SCRIPT = """
import asyncio, signal
from signalr_bridge.emulator import Emulator
signal.signal(signal.SIGINT, signal.default_int_handler)
async def main():
    async with Emulator(0) as emulator:
        print(emulator.port, flush=True)
        await asyncio.Event().wait()
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("the end", flush=True)
"""


async def test_ctrl_c_ends_it_with_clients_connected() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    url = f"ws://127.0.0.1:{port}/client/?hub=chat"
    async with connect(url, additional_headers=bearer(token()), proxy=None) as socket:
        await socket.send(HANDSHAKE)
        await socket.recv()
        process.send_signal(signal.SIGINT)
        assert await socket.recv() == '{"type":7,"allowReconnect":true}\x1e'
        out, err = await process.communicate()
    assert (process.returncode, out.decode().strip(), err.decode()) == (0, "the end", "")
