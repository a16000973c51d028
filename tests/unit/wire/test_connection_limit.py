"""The bound on connections: who makes room, who is refused, and what is said of it."""

import logging
import resource

import pytest
from signalr_bridge.wire.connection_limit import ConnectionLimit, Room


class Fake:
    """A connection that is quiet since then, or busy."""

    def __init__(self, since: float | None) -> None:
        self.since, self.is_closed = since, False

    def quiet_since(self) -> float | None:
        return None if self.is_closed else self.since

    def close(self) -> None:
        self.is_closed = True


def test_those_that_are_quiet_longest_make_room() -> None:
    limit = ConnectionLimit(4, 1)
    found = [Fake(3), Fake(None), Fake(1), Fake(2)]
    assert [limit.add(one, 5) for one in found] == [Room.FREE] * 4
    assert limit.add(Fake(None), 5) is Room.FREE
    assert [one.is_closed for one in found] == [False, False, True, False]
    assert limit.add(Fake(None), 5) is Room.FREE
    assert [one.is_closed for one in found] == [False, False, True, True], "one that ends makes room only once"
    limit.remove(found[2])
    limit.remove(found[3])
    assert limit.add(Fake(6), 6) is Room.FREE
    assert found[0].is_closed


def test_where_all_are_busy_a_few_more_are_told_so() -> None:
    limit = ConnectionLimit(2, 1)
    busy = [Fake(None) for _ in range(4)]
    assert [limit.add(one, 0) for one in busy] == [Room.FREE, Room.FREE, Room.EXTRA, Room.NONE]
    limit.remove(busy[3])  # it was never counted
    assert limit.add(Fake(None), 0) is Room.NONE
    limit.remove(busy[0])
    assert limit.add(Fake(None), 0) is Room.EXTRA


def test_a_flood_closes_many_at_once() -> None:
    limit = ConnectionLimit(160, 10)
    quiet = [Fake(number) for number in range(160)]
    for one in quiet:
        limit.add(one, 200)
    limit.add(Fake(200), 200)
    assert [one.is_closed for one in quiet] == [True] * 10 + [False] * 150


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    limit = ConnectionLimit(1, 0)
    with caplog.at_level(logging.WARNING):
        for now in (0, 1, 50, 100, 160):
            limit.add(Fake(None), now)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    limit.add(Fake(None), 221)
    assert len(caplog.records) == 2, "after a minute without it"


@pytest.mark.parametrize(
    ("files", "outgoing", "most"),
    [(256, 64, 128), (1024, 64, 768), (1024, 20 * 64, 512), (65_536, 64, 64_512), (64, 0, 32)],
)
def test_files_are_left_for_all_else(files: int, outgoing: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert ConnectionLimit.below_descriptors(outgoing).most == most


def test_without_a_limit_of_files_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert ConnectionLimit.below_descriptors().most > 1_000_000
