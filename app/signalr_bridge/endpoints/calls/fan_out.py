"""Side by side on many endpoints, but not on all of them at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.outcome import Outcome

MOST_AT_ONCE = 32
"""How many endpoints one operation asks at the same time."""

Call = Callable[[Endpoint], Awaitable[Outcome]]


async def fan_out(call: Call, endpoints: Sequence[Endpoint]) -> list[Outcome]:
    """The outcomes in the order of the endpoints. Waits for all; one that fails cancels no other."""
    if len(endpoints) == 1:  # the usual case costs no task
        return [await call(endpoints[0])]
    if len(endpoints) > MOST_AT_ONCE:
        call = _behind_a_gate(call)
    outcomes = await asyncio.gather(*map(call, endpoints), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [one for one in outcomes if isinstance(one, Outcome)]


def _behind_a_gate(call: Call) -> Call:
    gate = asyncio.Semaphore(MOST_AT_ONCE)

    async def wait_and_call(endpoint: Endpoint) -> Outcome:
        async with gate:
            return await call(endpoint)

    return wait_and_call
