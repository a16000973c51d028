"""What takes an endpoint offline, what brings it back, and what is known of it."""

import pytest
from signalr_bridge.endpoints.endpoint import Outcome, Verdict
from signalr_bridge.endpoints.health import FAILURES_TO_OFFLINE, Health, Report, State

from tests.unit.endpoints.fakes import Clock, new_health, said

URL = "https://a.example"
GOOD = [said("a", Verdict.ACCEPTED), said("a", Verdict.ABSENT)]
REFUSED, TIMED_OUT = said("a", Verdict.UNREACHABLE), said("a", Verdict.UNKNOWN)
BAD = [REFUSED, TIMED_OUT]
REJECTED = said("a", Verdict.REJECTED, 400)


def call(health: Health, outcome: Outcome, times: int = 1) -> None:
    for _ in range(times):
        health.record_call(URL, outcome, health.period(URL))


def test_nobody_has_called_yet() -> None:
    health = new_health()
    assert health.is_online(URL)
    assert not health.has_worked(URL)
    assert health.report(URL) == Report(State.ONLINE, None, None)


@pytest.mark.parametrize("outcome", BAD)
def test_three_failures_in_a_row_take_it_offline(outcome: Outcome) -> None:
    health = new_health()
    told: list[str] = []
    health.on_offline = told.append
    call(health, outcome, FAILURES_TO_OFFLINE - 1)
    assert health.is_online(URL)
    assert told == []
    call(health, outcome)
    assert not health.is_online(URL)
    assert health.is_online("https://other.example")
    call(health, outcome)
    assert told == [URL]


@pytest.mark.parametrize("outcome", [*GOOD, REJECTED, said("a", Verdict.UNKNOWN, 500)])
def test_an_answer_between_begins_anew(outcome: Outcome) -> None:
    health = new_health()
    for one in [TIMED_OUT, TIMED_OUT, outcome, TIMED_OUT, TIMED_OUT]:
        call(health, one)
    assert health.is_online(URL)


@pytest.mark.parametrize(
    ("outcome", "state", "error"),
    [
        (GOOD[0], State.ONLINE, None),
        (GOOD[1], State.ONLINE, None),
        (REFUSED, State.OFFLINE, "could not be reached"),
        (TIMED_OUT, State.OFFLINE, "no answer"),
        (said("a", Verdict.REJECTED, 500), State.OFFLINE, "status 500"),
        (said("a", Verdict.REJECTED, 503, "throttled"), State.OFFLINE, "status 503"),
        (said("a", Verdict.REJECTED, 401, "denied"), State.DENIED, "status 401"),
        (said("a", Verdict.REJECTED, 403, "denied"), State.DENIED, "status 403"),
        (said("a", Verdict.UNREACHABLE, None, "no-credential"), State.DENIED, "no-credential"),
        (said("a", Verdict.REJECTED, 404, "endpoint-misrouted"), State.MISROUTED, "status 404"),
        (said("a", Verdict.REJECTED, 429, "throttled"), State.THROTTLED, "status 429"),
    ],
)
def test_what_a_probe_says(outcome: Outcome, state: State, error: str | None) -> None:
    health = new_health()
    health.record_probe(URL, outcome)
    assert (health.report(URL).state, health.report(URL).last_error) == (state, error)
    assert health.is_online(URL) is (state is State.ONLINE)


def test_since_when() -> None:
    clock = Clock()
    health = Health(clock)
    health.record_probe(URL, GOOD[0])
    clock.now = 1010
    health.record_probe(URL, GOOD[0])
    assert health.report(URL) == Report(State.ONLINE, 1000, None)
    health.record_probe(URL, REFUSED)
    clock.now = 1020
    health.record_probe(URL, REFUSED)
    assert health.report(URL) == Report(State.OFFLINE, 1010, "could not be reached")
    health.record_probe(URL, GOOD[0])
    assert health.report(URL) == Report(State.ONLINE, 1020, "could not be reached"), "the last error stays"


def test_only_a_probe_brings_it_back() -> None:
    health = new_health()
    health.record_probe(URL, REFUSED)
    call(health, GOOD[0], 10)
    assert not health.is_online(URL), "that call was on its way before"
    health.record_probe(URL, GOOD[1])
    assert health.is_online(URL)


def test_a_good_probe_from_before_the_outage_says_nothing_of_the_present() -> None:
    health = new_health()
    outages = health.outages(URL)
    call(health, TIMED_OUT, 3)
    health.record_probe(URL, GOOD[0], outages)
    assert not health.is_online(URL)
    assert health.has_worked(URL)
    health.record_probe(URL, GOOD[0], health.outages(URL))
    assert health.is_online(URL)


def test_calls_from_before_the_recovery_say_nothing_of_the_present() -> None:
    health = new_health()
    period = health.period(URL)
    call(health, TIMED_OUT, 3)
    health.record_probe(URL, GOOD[0])
    for _ in range(10):
        health.record_call(URL, TIMED_OUT, period)
    assert health.is_online(URL)
    call(health, TIMED_OUT, 3)
    assert not health.is_online(URL)


@pytest.mark.parametrize(("outcome", "worked"), [(GOOD[0], True), (GOOD[1], True), (REFUSED, False), (REJECTED, False)])
def test_it_has_worked_once_the_credential_was_taken(outcome: Outcome, worked: bool) -> None:
    called, probed = new_health(), new_health()
    call(called, outcome)
    probed.record_probe(URL, outcome)
    assert (called.has_worked(URL), probed.has_worked(URL)) == (worked, worked)
    call(called, REFUSED)
    assert called.has_worked(URL) is worked, "an outage later does not change it"
