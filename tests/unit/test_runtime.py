"""Ids come from a pool: each is random, has the form that it always had, and is given once."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from signalr_bridge.runtime import Runtime, pool_ids


def test_an_id_is_32_hexadecimal_digits() -> None:
    new_id = Runtime().new_id
    assert all(re.fullmatch("[0-9a-f]{32}", new_id()) for _ in range(1000))


def test_every_random_byte_is_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bytes] = []
    monkeypatch.setattr("os.urandom", counted(given))
    new_id = pool_ids()
    ids = {new_id() for _ in range(256 * 3)}
    digits = b"".join(given).hex()
    assert ids == {digits[at : at + 32] for at in range(0, len(digits), 32)}
    assert len(ids) == 256 * 3


def counted(given: list[bytes]) -> Callable[[int], bytes]:
    """Bytes of which no 16 are given twice."""

    def give(count: int) -> bytes:
        begin = sum(map(len, given)) // 16
        given.append(b"".join(number.to_bytes(16, "big") for number in range(begin, begin + count // 16)))
        return given[-1]

    return give


def test_threads_may_share_a_pool() -> None:
    new_id = pool_ids()
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: [new_id() for _ in range(1000)], range(16)))
    assert len({one for ids in taken for one in ids}) == 16_000
