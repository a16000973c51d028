"""Places and bytes in flight: what is kept for whom, what is for whoever comes, and who is turned away."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.errors import Overloaded
from signalr_bridge.web.shares import Flight, Share, Shares

from tests.unit.observed import Recorder


def take_all(take: Callable[[], None]) -> int:
    """How often it can be taken."""
    taken = 0
    while True:
        try:
            take()
        except Overloaded:
            return taken
        taken += 1


def test_a_fifth_is_kept_for_each_and_the_rest_is_for_whoever_comes() -> None:
    recorder = Recorder()
    shares = Shares(100, 1, recorder)
    assert take_all(lambda: shares.take_place(shares.clients)) == 20 + 40
    assert take_all(lambda: shares.take_place(shares.common)) == 0
    assert take_all(lambda: shares.take_place(shares.callers)) == 20
    assert take_all(lambda: shares.take_place(shares.service)) == 20
    counted = {name.value: count for name, count in shares.count_in_flight().items()}
    assert counted == {"clients": 20, "callers": 20, "service": 20, "common": 40}
    assert recorder.of("request_shed") == [
        {"share": share, "reason": "in-flight"} for share in ("clients", "common", "callers", "service")
    ]
    shares.leave_place(shares.clients)
    assert take_all(lambda: shares.take_place(shares.common)) == 1, "a common place, for it keeps its own"
    for _ in range(20):
        shares.leave_place(shares.callers)
    assert take_all(lambda: shares.take_place(shares.clients)) == 0
    assert take_all(lambda: shares.take_place(shares.callers)) == 20


@pytest.mark.parametrize(("most", "alone"), [(1, 1), (2, 2), (4, 4), (5, 3), (1000, 600)])
def test_how_many_one_share_may_take(most: int, alone: int) -> None:
    shares = Shares(most, 1, Recorder())
    assert take_all(lambda: shares.take_place(shares.callers)) == alone


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=80))
def test_no_more_are_in_flight_than_may_be(most: int, does: list[tuple[int, bool]]) -> None:
    shares = Shares(most, 1, Recorder())
    flights: list[Flight] = []
    for which, begins in does:
        if begins:
            flight = Flight(shares, shares.every[which])
            try:
                flight.begin()
            except Overloaded:
                continue
            flights.append(flight)
        elif flights:
            flights.pop(which % len(flights)).end()
        assert sum(shares.count_in_flight().values()) == len(flights) <= most
    for flight in flights:
        flight.end()
    assert set(shares.count_in_flight().values()) == {0}


def flown(shares: Shares, share: Share, *sizes: int) -> Flight:
    flight = Flight(shares, share)
    for size in sizes:
        flight.add_bytes(size)
    return flight


def test_one_body_may_take_all_bytes_and_several_leave_a_twentieth_to_others() -> None:
    recorder = Recorder()
    shares = Shares(10, 1000, recorder)
    alone = flown(shares, shares.callers, 400, 600)
    with pytest.raises(Overloaded) as caught:
        flown(shares, shares.service, 1)
    assert caught.value.headers == {"Retry-After": "1"}
    alone.end()
    first = flown(shares, shares.callers, 900)
    with pytest.raises(Overloaded):
        flown(shares, shares.callers, 51)
    flown(shares, shares.callers, 50)
    flown(shares, shares.service, 50)
    with pytest.raises(Overloaded):
        flown(shares, shares.service, 1)
    assert [one["reason"] for one in recorder.of("request_shed")] == ["bytes"] * 3
    assert (shares.callers.body_bytes, shares.service.body_bytes) == (950, 50)
    first.end()
    first.end()
    assert flown(shares, shares.service, 900).body_bytes == 900


def test_a_place_is_taken_once_and_given_back_once() -> None:
    shares = Shares(10, 10, Recorder())
    flight = flown(shares, shares.callers, 5)
    flight.begin()
    flight.begin()
    assert shares.callers.in_flight == 1
    flight.end()
    flight.end()
    assert (shares.callers.in_flight, shares.callers.body_bytes) == (0, 0)
