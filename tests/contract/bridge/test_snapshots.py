"""What a change of the settings leaves alone, and what it lets go of."""

import asyncio
import gc
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from signalr_bridge.endpoints.key_rotation import KEPT_SECONDS
from signalr_bridge.parts import Parts
from signalr_bridge.runtime import Runtime
from signalr_bridge.snapshots import Snapshot

from tests.azure.signalr import KeyedSignalR
from tests.azure.standin import running as serving
from tests.contract.bridge.test_running_changes import Running, running
from tests.unit.upstream.issued import TENANT

CALLER, OTHER_CALLER = "caller-canary-1-0123456789", "caller-canary-2-0123456789"
EAST = "Azure__SignalR__Endpoints__east__"
KEYED = "Azure__SignalR__Endpoints__keyed"
OLD = {
    f"{EAST}clientSecret": "client-canary-1",
    KEYED: "access-canary-1".ljust(44, "="),
    "BRIDGE_CALLERS__KEYS": CALLER,
    "BRIDGE_UPSTREAM__CODE": "code-canary-1",
    "BRIDGE_UPSTREAM__KEYS": "verify-canary-1",
    "BRIDGE_HUBS__CHAT__UPSTREAM__KEYS": "verify-canary-of-chat-1",
    "BRIDGE_FORWARD__ORDERS__SECRETS": "whsec_b25lLWxvbmctZm9yd2FyZC1jYW5hcnktMQ==",
}
NEW = {name: text.replace("-1", "-2").replace("ktMQ", "ktMg") for name, text in OLD.items()}


class Time:
    """A monotonic clock that a test may put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of an issuer that never answers: whoever asks it is in the middle of it when its turn is over."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield f"https://localhost:{listening.getsockname()[1]}"


async def settle() -> None:
    """Until what has been cancelled has ended."""
    for _ in range(20):
        await asyncio.sleep(0.005)
    gc.collect()


async def test_a_callers_key_leaves_registries_breakers_and_health_untouched(tmp_path: Path) -> None:
    with serving(KeyedSignalR("k" * 44)) as east, serving(KeyedSignalR("k" * 44)) as west:
        given = {
            "AzureSignalRConnectionString": east.connection_string("k" * 44),
            "Second": west.connection_string("k" * 44),
            "BRIDGE_HUBS__CHAT__CONNECTION": "Second",
            "BRIDGE_CALLERS__KEYS": CALLER,
        }
        async with running(tmp_path, given) as bridge:
            parts: Parts = bridge.app.state.parts
            west.keys = ()
            assert [await bridge.send(CALLER) for _ in range(3)] == [502] * 3, "and so there is something to remember"
            before = _look(parts)
            bridge.write({"BRIDGE_CALLERS__KEYS": OTHER_CALLER})
            await bridge.read_again()
            assert [await bridge.send(key) for key in (CALLER, OTHER_CALLER)] == [401, 502]
            assert _look(parts) == before
            assert parts.snapshots.settings().callers.keys[0].key is not None


def _look(parts: Parts) -> list[object]:
    """The registries and all that is in them, object by object, and what is known of each endpoint's health."""
    found: list[object] = []
    for registry in parts.directory.registries:
        found += [id(registry), *map(id, vars(registry).values()), *map(id, gc.get_referents(*vars(registry).values()))]
        found += [(id(one), id(one.credential), registry.report(one)) for one in registry.endpoints]
    return found


async def test_a_new_endpoint_leaves_the_registries_of_other_connections_alone(tmp_path: Path) -> None:
    with serving(KeyedSignalR("k" * 44)) as east, serving(KeyedSignalR("k" * 44)) as west:
        given = {
            "AzureSignalRConnectionString": east.connection_string("k" * 44),
            "Second": west.connection_string("k" * 44),
            "BRIDGE_HUBS__CHAT__CONNECTION": "Second",
        }
        async with running(tmp_path, given) as bridge:
            find = bridge.app.state.parts.directory.find
            chat, other = find("chat"), find("other")
            bridge.write({"AzureSignalRConnectionString": "Endpoint=http://localhost:9;AccessKey=k;Version=1.0;"})
            await bridge.read_again()
            assert find("other") is not other
            assert find("chat") is chat


async def test_a_new_hub_leaves_registries_and_breakers_untouched(tmp_path: Path) -> None:
    with serving(KeyedSignalR("k" * 44)) as east:
        given = {"AzureSignalRConnectionString": east.connection_string("k" * 44)}
        async with running(tmp_path, given) as bridge:
            parts: Parts = bridge.app.state.parts
            before = parts.directory.find("chat")
            bridge.write({"BRIDGE_HUBS__CHAT__NEGOTIATE__ANONYMOUS": "true"})
            await bridge.read_again()
            assert "chat" in parts.snapshots.settings().hubs
            assert parts.directory.find("chat") is before, "its breakers know what they have counted"


async def test_no_part_holds_replaced_secrets(tmp_path: Path, silent: str) -> None:
    clock = Time()
    with serving(KeyedSignalR(OLD[KEYED], NEW[KEYED])) as keyed:
        fixed = {
            f"{EAST}serviceUri": "http://localhost:9",
            f"{EAST}tenantId": TENANT,
            f"{EAST}clientId": "c",
            "AZURE_AUTHORITY_HOST": silent,
            "BRIDGE_FORWARD__ORDERS__URL": "http://localhost:9",
        }
        given = fixed | OLD | {KEYED: keyed.connection_string(OLD[KEYED])}
        async with running(tmp_path, given, Runtime(clock=clock)) as bridge:
            assert await send(bridge, OLD) == 202
            assert reachable(bridge.app, OLD) == set(OLD), "the walk finds what is there"
            bridge.write(NEW | {KEYED: keyed.connection_string(NEW[KEYED])})
            await bridge.read_again()
            assert await send(bridge, NEW) == 202
            await settle()
            former = {f"{EAST}clientSecret", KEYED}
            assert reachable(bridge.app, OLD) == former, (
                "for ten minutes, for a service that has not heard of the new ones"
            )
            clock.ahead = KEPT_SECONDS + 1
            bridge.app.state.parts.snapshots.forget_former()
            await settle()
            assert reachable(bridge.app, OLD) == set()
            assert reachable(bridge.app, NEW) == set(NEW)
            assert await send(bridge, NEW) == 202
            await check_that_a_refused_change_leaves_nothing(bridge)
            await check_that_a_defect_leaves_nothing(bridge)


class LoopAhead(asyncio.SelectorEventLoop):
    """An event loop whose time a test may put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def test_former_keys_are_forgotten_in_time_although_nobody_asks(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=LoopAhead) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, LoopAhead)
        runner.run(_change_a_key_and_wait(tmp_path, loop))


async def _change_a_key_and_wait(folder: Path, loop: LoopAhead) -> None:
    old, new = {KEYED: OLD[KEYED]}, {KEYED: NEW[KEYED]}
    with serving(KeyedSignalR(OLD[KEYED], NEW[KEYED])) as keyed:
        async with running(folder, {KEYED: keyed.connection_string(OLD[KEYED])}, Runtime(clock=loop.time)) as bridge:
            bridge.write({KEYED: keyed.connection_string(NEW[KEYED])})
            await bridge.read_again()
            await settle()
            assert reachable(bridge.app, old) == {KEYED}, "for ten minutes"
            loop.ahead = KEPT_SECONDS + 2
            await settle()
            assert reachable(bridge.app, old) == set()
            assert reachable(bridge.app, new) == {KEYED}


async def send(bridge: Running, secrets: dict[str, str]) -> int:
    """Where a token is waited for nobody sends."""
    headers = {"X-API-Key": secrets["BRIDGE_CALLERS__KEYS"]}
    item = {"target": "x", "endpoints": ["keyed"]}
    return (await bridge.http.post("/hubs/chat/send", json=item, headers=headers)).status_code


async def check_that_a_refused_change_leaves_nothing(bridge: Running) -> None:
    """Its first half could be prepared: credentials were made for it."""
    secret = {f"{EAST}clientSecret": "client-canary-3"}
    bridge.write(secret | {"BRIDGE_FORWARD__ORDERS__SECRETS": "whsec_!"})
    await bridge.read_again()
    await settle()
    assert reachable(bridge.app, secret) == set()


async def check_that_a_defect_leaves_nothing(bridge: Running) -> None:
    """It is found after credentials were made for the change."""

    def fail(_: Snapshot) -> None:
        raise ZeroDivisionError

    bridge.app.state.parts.snapshots.check_with(fail)
    secret = {f"{EAST}clientSecret": "client-canary-4"}
    bridge.write(NEW | secret | {KEYED: (bridge.folder / KEYED).read_text()})
    await bridge.read_again()
    await settle()
    assert reachable(bridge.app, secret) == set()


def reachable(root: Any, secrets: dict[str, str]) -> set[str]:
    """The names of the secrets that can be reached from ``root``, as text or as bytes."""
    wanted = {name: text.removeprefix("whsec_").rstrip("=") for name, text in secrets.items()}
    decoded = {name: {text.encode()} for name, text in wanted.items()}
    decoded["BRIDGE_FORWARD__ORDERS__SECRETS"] = {b"forward-canary-1", b"forward-canary-2"} & {
        b"forward-canary-" + secrets.get("BRIDGE_UPSTREAM__CODE", "")[-1:].encode()
    }
    found: set[str] = set()
    for one in walk(root):
        if isinstance(one, str):
            found |= {name for name, text in wanted.items() if text in one}
        elif isinstance(one, bytes | bytearray):
            found |= {name for name, texts in decoded.items() if any(text in one for text in texts)}
    return found


def walk(root: Any) -> Iterator[Any]:
    """Whatever can be reached: what closures, bound methods, partials, tasks and their frames hold, too.

    Not what is everybody's: modules, classes, code, and the globals of functions. Not the loop either, which knows all
    that runs, this test as well.
    """
    seen: dict[int, Any] = {}
    left = [root]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, _EVERYBODYS):
            continue
        seen[id(one)] = one
        yield one
        if isinstance(one, FunctionType):
            left += [one.__closure__, one.__defaults__, one.__kwdefaults__, vars(one)]
        else:
            left += gc.get_referents(one)


_EVERYBODYS = (ModuleType, type, CodeType, BuiltinFunctionType, asyncio.AbstractEventLoop)
