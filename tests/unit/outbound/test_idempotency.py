"""What is kept, for how long, how much, and for whom."""

import pytest
from signalr_bridge.errors import IdempotencyInProgress, IdempotencyMismatch
from signalr_bridge.outbound.idempotency import KEEP_SECONDS, Idempotency
from signalr_bridge.wire.exchange import Answer, make_answer

from tests.unit.endpoints.fakes import Clock

SCOPE = ("caller", "POST", "/hubs/chat/send", "", "key")


def answer(size: int = 2) -> Answer:
    return make_answer(202, b"x" * size)


def keep(store: Idempotency, *scope: str, size: int = 2) -> None:
    assert store.begin(scope, b"digest") is None
    store.keep(scope, answer(size))


def is_kept(store: Idempotency, *scope: str) -> bool:
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


@pytest.mark.parametrize("part", range(len(SCOPE)))
def test_another_caller_or_request_is_new(part: int) -> None:
    store = Idempotency(Clock())
    keep(store, *SCOPE)
    other = [*SCOPE]
    other[part] += "x"
    assert store.begin(tuple(other), b"d") is None


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
    keep(store, *SCOPE)
    clock.now += KEEP_SECONDS - 1
    assert is_kept(store, *SCOPE)
    clock.now += 1
    assert not is_kept(store, *SCOPE)


def test_the_oldest_go_first_when_there_are_too_many() -> None:
    store = Idempotency(Clock(), most_answers=3)
    for key in "abcd":
        keep(store, key)
    assert [is_kept(store, key) for key in "bcd"] == [True] * 3
    assert not is_kept(store, "a")


def test_the_oldest_go_first_when_they_are_too_large() -> None:
    store = Idempotency(Clock(), most_bytes=100)
    for key in "abc":
        keep(store, key, size=40)
    assert [is_kept(store, key) for key in "bc"] == [True] * 2
    assert not is_kept(store, "a")
    keep(store, "huge", size=1000)
    assert not is_kept(store, "huge")
    keep(store, "d", size=100)
    assert is_kept(store, "d"), "what was forgotten is no longer counted"


def test_one_that_is_running_is_not_forgotten() -> None:
    store = Idempotency(Clock(), most_answers=1)
    store.begin(("running",), b"d")
    keep(store, "a")
    with pytest.raises(IdempotencyInProgress):
        store.begin(("running",), b"d")
    store.keep(("running",), answer())
    assert store.begin(("running",), b"d") is not None
