"""When a value is refreshed, and which requests wait: decided from values and a time."""

import pytest
from signalr_bridge.endpoints.refreshing import (
    CachedToken,
    RefreshAction,
    RefreshFailure,
    cache_token,
    decide,
    rest_seconds,
)

NOW = 1_800_000_000.0


def cached(refresh: float, expires: float) -> CachedToken[str]:
    return CachedToken("v", NOW + refresh, NOW + expires)


def refresh_failure(retry: float) -> RefreshFailure:
    return RefreshFailure(1, "status 500", NOW + retry)


@pytest.mark.parametrize(
    ("value", "why", "action"),
    [
        (None, None, RefreshAction.WAIT),
        (None, refresh_failure(1), RefreshAction.REFUSE),
        (None, refresh_failure(0), RefreshAction.WAIT),
        (cached(1, 2), None, RefreshAction.USE),
        (cached(0, 2), None, RefreshAction.USE_AND_REFRESH),
        (cached(0, 2), refresh_failure(1), RefreshAction.USE),
        (cached(0, 2), refresh_failure(0), RefreshAction.USE_AND_REFRESH),
        (cached(-1, 0.001), None, RefreshAction.USE_AND_REFRESH),
        (cached(-1, 0), None, RefreshAction.WAIT),
        (cached(-1, 0), refresh_failure(1), RefreshAction.REFUSE),
        (cached(1, 2), refresh_failure(-5), RefreshAction.USE),
    ],
)
def test_what_a_request_does(value: CachedToken[str] | None, why: RefreshFailure | None, action: RefreshAction) -> None:
    assert decide(value, why, NOW) is action


@pytest.mark.parametrize(
    ("lifetime", "proposed", "refresh"),
    [
        (3600, None, 3000),
        (86_400, 43_200, 43_200),
        (600, None, 300),
        (100, None, 50),
        (3600, 0, 60),  # an issuer that gives the same token again is not asked at once
        (3600, -50, 60),
        (10, 0, 5),
        (0, None, 0),
        (-5, None, 0),
    ],
)
def test_a_value_is_refreshed_well_before_its_end(lifetime: float, proposed: float | None, refresh: float) -> None:
    wish = None if proposed is None else NOW + proposed
    assert cache_token("v", NOW + lifetime, NOW, wish).refresh_at == NOW + refresh


def test_rests_grow_to_a_limit() -> None:
    assert [rest_seconds(n, None, 30, lambda: 1.0) for n in (1, 2, 3, 5, 6, 999)] == [1, 2, 4, 16, 30, 30]
    assert rest_seconds(3, None, 30, lambda: 0.0) == 2


@pytest.mark.parametrize(("asked", "rest"), [(7.0, 7.0), (0.0, 1.0), (None, 1.0), (1e9, 600.0)])
def test_the_issuer_may_ask_for_more(asked: float | None, rest: float) -> None:
    assert rest_seconds(1, asked, 30, lambda: 1.0) == rest


def test_a_cached_value_stays_out_of_sight() -> None:
    assert "canary" not in repr(cache_token("canary", NOW + 1, NOW))
