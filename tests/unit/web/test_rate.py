"""Rates: as many as are allowed, no more, and never more memory than there are names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.web.limits import Rate, next_moment

from tests.unit.upstream.issued import FakeClock


def test_at_once_and_then_steadily() -> None:
    clock = FakeClock(100.0)
    rate = Rate(2, clock, burst=3)
    assert [rate.take("ann") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.take("bob") == 0
    clock.now += 0.5
    assert [rate.take("ann"), rate.take("ann")] == [0, 0.5]
    clock.now += 1000
    assert [rate.take("ann") == 0 for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("per_second", "first"), [(0.1, 10.0), (0.5, 2.0), (1, 1.0), (10, 0.1)])
def test_without_a_burst_of_its_own_it_is_a_second_s_worth(per_second: float, first: float) -> None:
    rate = Rate(per_second, FakeClock(0.0))
    waits = [rate.take("x") for _ in range(max(1, int(per_second)) + 1)]
    assert waits[:-1] == [0] * (len(waits) - 1)
    assert waits[-1] == pytest.approx(first)


def test_names_that_were_not_heard_of_longest_are_forgotten() -> None:
    rate = Rate(1, FakeClock(0.0), most_names=2)
    assert [rate.take(name) > 0 for name in ("a", "b", "a", "c", "a", "b")] == [False, False, True, False, True, False]


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.1, 20), st.floats(1, 20))
def test_never_more_than_the_rate(pauses: list[float], per_second: float, burst: float) -> None:
    now = taken = full_at = 0.0
    for pause in pauses:
        now += pause
        full_at, wait = next_moment(full_at, now, per_second, burst)
        taken += wait == 0
    assert taken <= burst + now * per_second + 1e-6
