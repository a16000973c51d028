"""The documented programs without HTTP of ours, two bridges in one process, and a bridge within Quart."""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from signalr_bridge import NotRunning, connect, outbox
from signalr_bridge.emulator import Emulator
from signalr_bridge.wire.server import Server
from signalr_bridge.wire.sockets import bind

from tests.e2e.crowd import Member, crowd
from tests.e2e.documented import write_programs
from tests.e2e.team import run

FORKS_WHILE_CONNECTED = """
import asyncio
import os
import signalr_bridge

async def main():
    async with signalr_bridge.connect() as hubs:
        await hubs["chat"].clients.all.send("noted", "before")
        if (child := os.fork()) == 0:
            try:
                asyncio.run(hubs["chat"].clients.all.send("noted", "in the child"))
            except signalr_bridge.NotRunning as error:
                print(error, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        await hubs["chat"].clients.all.send("noted", "after")

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_programs("docs/embedding.md", tmp_path_factory.mktemp("programs"))


def settings_of(emulator: Emulator) -> dict[str, str]:
    return {"AzureSignalRConnectionString": emulator.connection_string, "BRIDGE_ALLOW_EMULATOR_KEY": "true"}


@asynccontextmanager
async def listening(emulator: Emulator) -> AsyncIterator[Member]:
    """A client that was negotiated for without any bridge that listens."""
    async with connect(settings_of(emulator)) as hubs, crowd("") as clients:
        info = await hubs["chat"].negotiate(user_id="ann")
        async with clients.enter(info.url, info.access_token) as member:
            yield member


async def run_program(file: Path, emulator: Emulator) -> str:
    return await asyncio.to_thread(run, sys.executable, file, folder=file.parent, environment=settings_of(emulator))


async def test_scripts_and_forked_workers_connect(programs: dict[str, Path], tmp_path: Path) -> None:
    forking = tmp_path / "forking.py"
    forking.write_text(FORKS_WHILE_CONNECTED, "utf-8")
    async with Emulator(0, "localhost") as emulator, listening(emulator) as ann:
        assert await run_program(programs["news.py"], emulator) == f"{emulator.url}/client/?hub=chat\n"
        assert await ann.wait_for("news") == [1]
        assert await run_program(programs["workers.py"], emulator) == ""
        assert sorted([await ann.wait_for("done"), await ann.wait_for("done")]) == [[1], [2]]
        output = await run_program(forking, emulator)
        assert output == "This connect() belongs to another event loop or process: connect anew in this one.\n"
        assert [await ann.wait_for("noted"), await ann.wait_for("noted")] == [["before"], ["after"]]


def load(file: Path) -> Any:
    """The module in the file, which no other program shares."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The host on uvicorn; gives its address."""
    with bind("127.0.0.1", 0, "the port") as sock:
        server = Server(app, [sock], lifespan="on")
        serving = asyncio.create_task(server.serve([sock]))
        await server.ready.wait()
        yield f"http://127.0.0.1:{server.port}"
        server.should_exit = True
        await serving


async def test_two_bridges_in_one_process(programs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    async with Emulator(0, "localhost") as acme, Emulator(0, "localhost") as globex:
        monkeypatch.setenv("ACME", acme.connection_string)
        monkeypatch.setenv("GLOBEX", globex.connection_string)
        async with served(load(programs["two.py"]).app) as url:
            acme.replace_upstream(f"{url}/acme/upstream")
            globex.replace_upstream(f"{url}/globex/upstream")
            async with (
                crowd(f"{url}/acme") as here,
                crowd(f"{url}/globex") as there,
                here.member("ann") as ann,
                there.member("bob") as bob,
            ):
                await ann.send("greet", "ann")
                assert await ann.wait_for("greeted") == ["ann"]
                await bob.send("greet", "bob")
                assert await bob.wait_for("greeted") == ["bob"]
            with pytest.raises(NotRunning, match="2 bridges run"):
                await outbox("chat").clients.all.send("greeted", "nobody")


async def test_a_bridge_within_quart(programs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    async with Emulator(0, "localhost") as emulator:
        for name, value in (settings_of(emulator) | {"BRIDGE_NEGOTIATE__ANONYMOUS": "true"}).items():
            monkeypatch.setenv(name, value)
        async with served(load(programs["quart_app.py"]).app) as url:
            emulator.replace_upstream(f"{url}/realtime/upstream")
            async with crowd(f"{url}/realtime") as clients, clients.member("") as somebody:
                await somebody.send("broadcast", "hi")
                assert await somebody.wait_for("newMessage") == [None, "hi"]
