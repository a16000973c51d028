"""One observer that tells several: each hears what it wants, in their order."""

import inspect
from typing import Any

from signalr_bridge.web.observer import Observer, tell_all

from tests.unit.observed import Recorder


class FewFacts(Observer):
    """It wants one kind of fact."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def settings_refused(self, *, reason: str) -> None:
        self.reasons.append(reason)


def test_each_hears_every_fact_that_it_wants() -> None:
    one, other, few = Recorder(), Recorder(), FewFacts()
    told = tell_all([one, few, other])
    names = [name for name, _ in inspect.getmembers(Observer, inspect.isfunction)]
    for name in names:
        facts: dict[str, Any] = {"reason": name}
        getattr(told, name)(**facts)
    assert one.facts == other.facts == [(name, {"reason": name}) for name in names]
    assert few.reasons == ["settings_refused"]


def test_what_one_wants_costs_no_more_than_that_one() -> None:
    few = FewFacts()
    told = tell_all([few, Observer()])
    assert told.settings_refused == few.settings_refused
    told.settings_changed(changes=[])
