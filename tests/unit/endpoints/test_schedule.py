"""When probes are made."""

from itertools import pairwise

import pytest
from signalr_bridge.endpoints.prober import first_delay, healthy_delay, recovery_delay, second_delay


def test_fifty_endpoints_are_not_probed_in_one_burst() -> None:
    moments = [first_delay(rank, 50, 10) for rank in range(50)]
    assert [moments[0], moments[-1]] == pytest.approx([0.02, 1.0])
    assert {round(after - before, 6) for before, after in pairwise(moments)} == {0.02}
    seconds = [moments[rank] + second_delay(rank, 50, 10) for rank in range(50)]
    assert [seconds[0], seconds[-1]] == pytest.approx([0.22, 11.0])


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 10.0), (1.0, 9.0)])
def test_while_all_is_well(chance: float, seconds: float) -> None:
    assert healthy_delay(10, lambda: chance) == seconds


def test_while_not_it_backs_off_up_to_the_interval() -> None:
    assert [recovery_delay(failures, None, 10, lambda: 0) for failures in (1, 2, 3, 4, 5, 6, 99)] == [
        1,
        2,
        4,
        8,
        10,
        10,
        10,
    ]


def test_the_service_may_ask_for_a_longer_wait_but_recovery_is_seen_within_the_interval() -> None:
    assert recovery_delay(1, 5, 10, lambda: 0) == 5
    assert recovery_delay(1, 60, 10, lambda: 0) == 10
