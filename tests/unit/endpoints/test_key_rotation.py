"""A call that is refused with 401: every known key once, then one reading of the settings, then a new key."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from signalr_bridge.endpoints.access_key import AccessKey
from signalr_bridge.endpoints.endpoint import Code, Endpoint, Outcome, Verdict
from signalr_bridge.endpoints.key_rotation import KeyRotation, RecentCredentials
from signalr_bridge.endpoints.pending import Pending
from signalr_bridge.protocol.rest import Action, Message, Operation

from tests.unit.endpoints.fakes import Clock, endpoint

SEND = Operation(Action.SEND_TO_ALL, "chat")


@dataclass
class Service:
    """Takes these keys, and 401 for others; remembers with which keys it was called."""

    takes: set[str]
    clock: Clock
    used: list[tuple[str, float]] = field(default_factory=list)
    lasts: float = 0.0

    def fits(self, action: Action, message: Message) -> bool:
        return True

    def begin(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
    ) -> Pending[Outcome]:
        (key,) = endpoint.credential.verifying_keys
        self.used.append((key, seconds))
        self.clock.now += self.lasts
        taken = key in self.takes
        verdict = Verdict.ACCEPTED if taken else Verdict.REJECTED
        status, code = (202, None) if taken else (401, Code.DENIED)
        return Pending.known(Outcome(endpoint.name, "Primary", verdict, status, code))


@dataclass
class World:
    clock: Clock
    service: Service
    keys: RecentCredentials
    rereads: int = 0
    on_reread: Callable[[], None] = lambda: None

    async def reread(self) -> None:
        self.rereads += 1
        self.on_reread()

    async def send(self, one: Endpoint, seconds: float = 10) -> Outcome:
        rotation = KeyRotation(self.service, self.keys, reread=self.reread, clock=self.clock)
        return await rotation.begin(one, SEND, Message("t"), seconds)

    @property
    def used(self) -> list[str]:
        return [key for key, _ in self.service.used]


@pytest.fixture
def world() -> World:
    clock = Clock()
    return World(clock, Service({"old"}, clock), RecentCredentials(clock))


def keyed(key: str) -> Endpoint:
    return replace(endpoint("a"), credential=AccessKey(key, lambda: 0))


OLD, NEW = keyed("old"), keyed("new")


async def test_what_is_taken_is_sent_once(world: World) -> None:
    world.keys.use([OLD])
    assert (await world.send(OLD)).verdict is Verdict.ACCEPTED
    assert (world.used, world.rereads) == (["old"], 0)


async def test_the_new_key_is_not_known_to_the_service_yet(world: World) -> None:
    world.keys.use([OLD])
    world.keys.use([NEW])
    assert (await world.send(NEW)).verdict is Verdict.ACCEPTED
    assert (world.used, world.rereads) == (["new", "old"], 0)


async def test_a_call_that_began_before_the_rotation_ends_with_the_new_key(world: World) -> None:
    world.keys.use([OLD])
    world.keys.use([NEW])
    world.service.takes = {"new"}
    assert (await world.send(OLD)).verdict is Verdict.ACCEPTED
    assert world.used == ["old", "new"]


async def test_refused_on_every_known_key_the_settings_are_read_once_and_the_call_tried_once_more(
    world: World,
) -> None:
    world.keys.use([OLD])
    world.keys.use([NEW])
    world.service.takes = {"newest"}
    world.on_reread = lambda: world.keys.use([keyed("newest")])
    assert (await world.send(NEW)).verdict is Verdict.ACCEPTED
    assert (world.used, world.rereads) == (["new", "old", "newest"], 1)


async def test_without_a_new_key_the_refusal_stands(world: World) -> None:
    world.keys.use([NEW])
    outcome = await world.send(NEW)
    assert (outcome.status_code, outcome.code) == (401, "denied")
    assert (world.used, world.rereads) == (["new"], 1)


async def test_an_endpoint_that_has_gone_meanwhile_has_no_other_key(world: World) -> None:
    world.keys.use([NEW])
    world.on_reread = lambda: world.keys.use([])
    assert (await world.send(NEW)).status_code == 401
    assert world.used == ["new"]


async def test_all_attempts_share_the_time(world: World) -> None:
    world.keys.use([OLD])
    world.keys.use([NEW])
    world.service.takes, world.service.lasts = set(), 4
    await world.send(NEW, seconds=10)
    assert world.service.used == [("new", 10), ("old", 6)]
    await world.send(NEW, seconds=3)
    assert world.service.used[2:] == [("new", 3)], "no time is left for another"


async def test_a_reading_that_takes_too_long_is_not_waited_for(world: World) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    world.keys.use([NEW])
    rotation = KeyRotation(world.service, world.keys, reread=never, clock=world.clock)
    assert (await rotation.begin(NEW, SEND, Message("t"), 0.05)).status_code == 401


@pytest.mark.parametrize("status", [202, 403, 404, 429, 500, None])
async def test_nothing_but_401_is_a_question_of_keys(world: World, status: int | None) -> None:
    class Other:
        calls = 0

        def fits(self, action: Action, message: Message) -> bool:
            return True

        def begin(
            self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
        ) -> Pending[Outcome]:
            self.calls += 1
            return Pending.known(Outcome("a", "Primary", Verdict.UNKNOWN, status))

    world.keys.use([OLD])
    world.keys.use([NEW])
    inner = Other()
    await KeyRotation(inner, world.keys, reread=world.reread, clock=world.clock).begin(NEW, SEND, None, 10)
    assert (inner.calls, world.rereads) == (1, 0)
