"""What is kept, for how long, how much, and for whom."""

import pytest
from signalr_bridge.errors import IdempotencyInProgress, IdempotencyMismatch
from signalr_bridge.outbound.idempotency import ENTRY_BYTES, KEEP_SECONDS, Idempotency, write_scope
from signalr_bridge.wire.exchange import Answer, make_answer

from tests.unit.endpoints.fakes import Clock

PARTS = ("caller", "POST", "/hubs/chat/send", "", "key")
SCOPE = write_scope(*PARTS)
RUNNING = write_scope("running")


def answer(size: int = 2) -> Answer:
    return make_answer(202, b"x" * size)


def keep(store: Idempotency, *parts: str, size: int = 2) -> None:
    scope = write_scope(*parts)
    assert store.begin(scope, b"digest") is None
    store.keep(scope, answer(size))


def is_kept(store: Idempotency, *parts: str) -> bool:
    scope = write_scope(*parts)
    kept = store.begin(scope, b"digest")
    if kept is None:
        store.forget(scope)
    return kept is not None


def test_the_answer_is_given_again() -> None:
    store = Idempotency(Clock())
    first = answer()
    assert store.begin(SCOPE, b"d") is None
    store.keep(SCOPE, first)
    assert store.begin(SCOPE, b"d") is first
    assert store.begin(SCOPE, b"d") is first


@pytest.mark.parametrize("part", range(len(PARTS)))
def test_another_caller_or_request_is_new(part: int) -> None:
    store = Idempotency(Clock())
    keep(store, *PARTS)
    other = [*PARTS]
    other[part] += "x"
    assert store.begin(write_scope(*other), b"d") is None


def test_nothing_moves_from_one_part_to_the_next() -> None:
    assert write_scope("ab", "c") != write_scope("a", "bc")
    assert len(write_scope("x" * 100_000)) == len(write_scope("")) == 32


def test_while_the_first_is_running() -> None:
    store = Idempotency(Clock())
    store.begin(SCOPE, b"d")
    with pytest.raises(IdempotencyInProgress):
        store.begin(SCOPE, b"d")
    store.forget(SCOPE)
    assert store.begin(SCOPE, b"d") is None


def test_another_body_while_running_and_after() -> None:
    store = Idempotency(Clock())
    store.begin(SCOPE, b"d")
    with pytest.raises(IdempotencyMismatch):
        store.begin(SCOPE, b"other")
    store.keep(SCOPE, answer())
    with pytest.raises(IdempotencyMismatch):
        store.begin(SCOPE, b"other")


def test_for_a_day() -> None:
    clock = Clock()
    store = Idempotency(clock)
    keep(store, *PARTS)
    clock.now += KEEP_SECONDS - 1
    assert is_kept(store, *PARTS)
    clock.now += 1
    assert not is_kept(store, *PARTS)


def test_the_oldest_go_first_when_there_are_too_many() -> None:
    store = Idempotency(Clock(), most_answers=3)
    for key in "abcd":
        keep(store, key)
    assert [is_kept(store, key) for key in "bcd"] == [True] * 3
    assert not is_kept(store, "a")


def test_the_oldest_go_first_when_they_are_too_large() -> None:
    most = 2 * (ENTRY_BYTES + 100)
    store = Idempotency(Clock(), most_bytes=most)
    for key in "abc":
        keep(store, key, size=60)
    assert [is_kept(store, key) for key in "bc"] == [True] * 2
    assert not is_kept(store, "a")
    keep(store, "huge", size=most)
    assert not is_kept(store, "huge")
    keep(store, "d", size=most - ENTRY_BYTES - 20)
    assert is_kept(store, "d"), "what was forgotten is no longer counted"


def test_what_is_kept_beside_the_answer_counts() -> None:
    store = Idempotency(Clock(), most_bytes=20 * ENTRY_BYTES)
    for number in range(100):
        keep(store, str(number), size=0)
    kept = sum(is_kept(store, str(number)) for number in range(100))
    assert 10 < kept < 20
    assert store.kept_bytes <= 20 * ENTRY_BYTES


def test_one_that_is_running_is_not_forgotten() -> None:
    store = Idempotency(Clock(), most_answers=1)
    store.begin(RUNNING, b"d")
    keep(store, "a")
    with pytest.raises(IdempotencyInProgress):
        store.begin(RUNNING, b"d")
    store.keep(RUNNING, answer())
    assert store.begin(RUNNING, b"d") is not None
