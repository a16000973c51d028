"""Keys that the emulator issues: a new one every hour, each good for an hour and a half."""

from itertools import count

from signalr_bridge.emulator.identity import GOOD_SECONDS, NEW_AFTER_SECONDS, IssuedKeys

from tests.unit.endpoints.fakes import Clock


def test_keys_come_and_go() -> None:
    clock, numbers = Clock(0.0), count()
    keys = IssuedKeys(clock, lambda: f"text-{next(numbers)}")
    first = keys.issue()
    clock.now = NEW_AFTER_SECONDS - 1
    assert keys.issue() == first
    clock.now = NEW_AFTER_SECONDS
    second = keys.issue()
    assert second.key_id != first.key_id
    assert (keys.find(first.key_id), keys.find(second.key_id)) == ([first.key], [second.key])
    clock.now = GOOD_SECONDS
    assert (keys.find(first.key_id), keys.find(second.key_id)) == ([], [second.key])
    assert keys.find("somebody-elses") == []
