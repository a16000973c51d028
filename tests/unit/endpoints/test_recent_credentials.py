"""Which credentials of an instance are known: the current ones, and for a while those before them."""

from dataclasses import replace

from signalr_bridge.endpoints.access_key import AccessKey
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.key_rotation import KEPT_SECONDS, RecentCredentials

from tests.unit.endpoints.fakes import Clock, endpoint


def keyed(name: str, key: str) -> Endpoint:
    return replace(endpoint(name), credential=AccessKey(key, lambda: 0))


def known(keys: RecentCredentials, name: str) -> list[str]:
    return [one.verifying_keys[0] for one in keys.known(f"https://{name}.example")]


def test_the_current_one_comes_before_the_former() -> None:
    keys = RecentCredentials(Clock())
    for key in ("1", "2", "3"):
        keys.use([keyed("a", key)])
    assert known(keys, "a") == ["3", "2", "1"]
    assert known(keys, "b") == []


def test_a_former_one_is_forgotten_after_ten_minutes() -> None:
    clock = Clock()
    keys = RecentCredentials(clock)
    keys.use([keyed("a", "1")])
    keys.use([keyed("a", "2")])
    clock.now += KEPT_SECONDS - 1
    assert known(keys, "a") == ["2", "1"]
    clock.now += 1
    assert known(keys, "a") == ["2"]
    keys.use([keyed("a", "2")])
    assert KEPT_SECONDS == 600


def test_forgetting_lets_go_of_it() -> None:
    clock = Clock()
    keys = RecentCredentials(clock)
    keys.use([keyed("a", "canary")])
    keys.use([keyed("a", "2")])
    clock.now += KEPT_SECONDS
    keys.forget()
    assert vars(keys)["_former"] == {}


def test_another_change_gives_a_former_one_no_more_time() -> None:
    clock = Clock()
    keys = RecentCredentials(clock)
    keys.use([keyed("a", "1")])
    keys.use([now := keyed("a", "2")])
    clock.now += KEPT_SECONDS / 2
    keys.use([now, keyed("b", "x")])
    clock.now += KEPT_SECONDS / 2
    assert known(keys, "a") == ["2"]


def test_of_an_endpoint_that_has_gone_nothing_is_kept() -> None:
    keys = RecentCredentials(Clock())
    keys.use([keyed("a", "1"), keyed("b", "1")])
    keys.use([keyed("a", "2")])
    assert known(keys, "b") == []
    keys.use([keyed("a", "2"), keyed("b", "2")])
    assert known(keys, "b") == ["2"]


def test_an_instance_that_is_configured_twice_has_all_its_keys() -> None:
    keys = RecentCredentials(Clock())
    keys.use([keyed("a", "1"), second := keyed("a", "2")])
    assert known(keys, "a") == ["1", "2"]
    keys.use([second])
    assert known(keys, "a") == ["2", "1"]
