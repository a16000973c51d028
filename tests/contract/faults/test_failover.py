"""One of two primaries fails in three ways under 500 negotiates and 500 sends a second, and comes back each time.

Everything is five times as fast as in production: an interval of 2 s for 10. ``make bench`` has the real one.
"""

import pytest
from signalr_bridge.endpoints.outcome import Status

from tests.contract.endpoints.programmable import Server
from tests.contract.faults.failover import FAULTS, observe, trial, until

pytestmark = pytest.mark.slow


async def test_a_primary_that_fails_gets_no_clients_and_no_send_is_called_accepted_that_was_not() -> None:
    async with trial(probe_seconds=2, deadline=0.3) as one:
        await until(lambda: one.sent_there() > 0 and one.probes() > 0, 20)
        for fault in FAULTS:
            found = await observe(one, fault, hold=0.3, patience=20)
            print(f"{fault}: noticed after {found.noticed:.2f} s, back after {found.back:.2f} s")
            assert found.sent_while_down == 0, fault
            assert found.probes_before_notice <= 1, "one bad probe is enough"
        assert one.lies() == []
        statuses = {result.status for result in one.load.results.values()}
        assert Status.ACCEPTED in statuses
        assert set(one.load.negotiated) >= {server.url.removeprefix("http://") for server in _primaries(one.servers)}
        assert one.load.misled == 0


def _primaries(servers: dict[str, Server]) -> list[Server]:
    return [servers["default"], servers["b"]]
