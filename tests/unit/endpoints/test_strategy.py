"""How clients are spread: by weight, and every user at one endpoint."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from signalr_bridge.endpoints.registry import choose_sticky, choose_weighted

from tests.unit.endpoints.fakes import endpoint

A, B, C = (endpoint(name) for name in "abc")
USERS = [f"user-{number}" for number in range(3000)]


@pytest.mark.parametrize(("chance", "name"), [(0.0, "a"), (0.24, "a"), (0.26, "b"), (0.999999, "b"), (1.0, "b")])
def test_by_weight(chance: float, name: str) -> None:
    assert choose_weighted([A, replace(B, weight=3)], None, lambda: chance).name == name


def test_a_user_stays() -> None:
    for user in USERS[:50]:
        assert len({choose_sticky([A, B, C], user, random.random).name for _ in range(3)}) == 1
        assert choose_sticky([C, A, B], user, random.random) is choose_sticky([A, B, C], user, random.random)


def test_users_are_spread_by_weight() -> None:
    found = Counter(choose_sticky([A, replace(B, weight=3)], user, random.random).name for user in USERS)
    assert 0.70 < found["b"] / len(USERS) < 0.80


def test_only_the_users_of_the_one_that_goes_move() -> None:
    for user in USERS[:300]:
        before = choose_sticky([A, B, C], user, random.random)
        after = choose_sticky([A, B], user, random.random)
        assert after is before or before is C


def test_a_client_without_a_user_id_goes_by_chance() -> None:
    assert choose_sticky([A, B], None, lambda: 0.9) is B
    assert choose_sticky([A, B], "", lambda: 0.9) is choose_sticky([A, B], "", lambda: 0.1), "an empty id is an id"
