"""One operation on one endpoint: how often, how long, and what is said in the end."""

from signalr_bridge.endpoints.attempts import CAPACITY, Attempts, RetryPolicy
from signalr_bridge.endpoints.endpoint import Outcome, Verdict
from signalr_bridge.endpoints.health import Health
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.web.observer import SILENT

from tests.unit.endpoints.fakes import Clock, FakeTransport, endpoint, new_health, said

A = endpoint("a")
SEND = Operation(Action.SEND_TO_ALL, "chat")
JOIN = Operation(Action.ADD_CONNECTION, "chat", group="g", connection="c")
INVOKE = Operation(Action.INVOKE, "chat", connection="c")
REFUSED, TIMED_OUT = said("a", Verdict.UNREACHABLE), said("a", Verdict.UNKNOWN)


def attempts(transport: FakeTransport, clock: Clock | None = None, health: Health | None = None) -> Attempts:
    more = health or new_health()
    return Attempts(transport, more, clock=clock or Clock(), random=lambda: 0.0, policy=RetryPolicy(), observer=SILENT)


async def test_nothing_is_sent_when_no_time_is_left() -> None:
    transport = FakeTransport()
    outcome = await attempts(transport).begin(A, SEND, Message("t"), 1000)
    assert (outcome, transport.calls) == (Outcome("a", "Primary", Verdict.UNREACHABLE), [])


async def test_each_attempt_leaves_time_for_the_next() -> None:
    clock = Clock()
    transport = FakeTransport({"a": [TIMED_OUT]})

    def take_all(_: object) -> None:
        clock.now += transport.calls[-1].seconds

    transport.before = take_all
    outcome = await attempts(transport, clock).begin(A, JOIN, None, 1008)
    assert [call.seconds for call in transport.calls] == [4, 2, 2]
    assert outcome.verdict is Verdict.UNKNOWN


async def test_a_time_out_and_then_a_refusal_may_have_been_done() -> None:
    transport = FakeTransport({"a": [TIMED_OUT, REFUSED]})
    assert (await attempts(transport).begin(A, JOIN, None, 1010)).verdict is Verdict.UNKNOWN


async def test_a_storm_of_retries_ends() -> None:
    transport = FakeTransport({"a": [REFUSED]})
    one = attempts(transport)
    for _ in range(CAPACITY):
        await one.begin(A, SEND, Message("t"), 1010)
    assert len(transport.calls) < CAPACITY * 1.5
    before = len(transport.calls)
    await one.begin(A, SEND, Message("t"), 1010)
    assert len(transport.calls) == before + 1, "a first attempt is always made"


async def test_a_client_that_takes_its_time_is_not_the_endpoints_fault() -> None:
    health = new_health()
    transport = FakeTransport({"a": [TIMED_OUT]})
    for _ in range(5):
        await attempts(transport, health=health).begin(A, INVOKE, Message("t"), 1010)
    assert health.is_online(A.url)
    assert len(transport.calls) == 5, "never tried again"
    for _ in range(3):
        await attempts(transport, health=health).begin(A, SEND, Message("t"), 1010)
    assert not health.is_online(A.url)
