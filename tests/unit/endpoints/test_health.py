"""What takes an endpoint offline, what brings it back, and what is known of it."""

import pytest
from signalr_bridge.endpoints.endpoint import Outcome, Verdict
from signalr_bridge.endpoints.health import FAILURES_TO_OFFLINE, FIRST_PAUSE, LONGEST_PAUSE, Health, Report, State

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
    assert health.report(URL) == Report(State.ONLINE, 1000, None, last_ok=1010)
    health.record_probe(URL, REFUSED)
    clock.now = 1020
    health.record_probe(URL, REFUSED)
    assert health.report(URL) == Report(State.OFFLINE, 1010, "could not be reached", last_ok=1010)
    health.record_probe(URL, GOOD[0])
    assert health.report(URL) == Report(State.ONLINE, 1020, "could not be reached", last_ok=1020), (
        "the last error stays"
    )


def test_only_a_probe_undoes_what_a_probe_said() -> None:
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
    assert not health.begin_trial(URL, is_message=True)
    assert health.has_worked(URL)
    health.record_probe(URL, GOOD[0], health.outages(URL))
    assert health.begin_trial(URL, is_message=True)
    assert not health.is_online(URL)


def test_calls_from_before_the_recovery_say_nothing_of_the_present() -> None:
    health = new_health()
    period = health.period(URL)
    call(health, TIMED_OUT, 3)
    health.record_probe(URL, GOOD[0])
    health.record_call(URL, GOOD[0], period)
    assert not health.is_online(URL), "that call was on its way before"
    call(health, GOOD[0])
    for _ in range(10):
        health.record_call(URL, TIMED_OUT, period)
    assert health.is_online(URL)
    call(health, TIMED_OUT, 3)
    assert not health.is_online(URL)


def message(health: Health, outcome: Outcome, times: int = 1) -> None:
    for _ in range(times):
        health.record_call(URL, outcome, health.period(URL), is_message=True)


def test_good_probes_and_other_calls_do_not_hide_that_messages_hang() -> None:
    health = new_health()
    for _ in range(FAILURES_TO_OFFLINE):
        assert health.is_online(URL)
        message(health, TIMED_OUT)
        call(health, GOOD[0])
        health.record_probe(URL, GOOD[1], health.outages(URL))
    assert health.report(URL).state is State.OFFLINE
    call(health, GOOD[0])
    assert not health.begin_trial(URL, is_message=False), "a join would tell nothing of messages"
    assert not health.is_online(URL)
    message(health, GOOD[0])
    assert health.is_online(URL)


def test_calls_that_hang_take_a_throttled_endpoint_offline_too() -> None:
    health = new_health()
    health.record_probe(URL, said("a", Verdict.REJECTED, 429, "throttled"))
    message(health, TIMED_OUT, FAILURES_TO_OFFLINE)
    assert health.state(URL) is State.OFFLINE
    health.record_probe(URL, said("a", Verdict.REJECTED, 429, "throttled"), health.outages(URL))
    assert health.begin_trial(URL, is_message=True), "it may accept it"
    message(health, GOOD[0])
    assert health.state(URL) is State.THROTTLED


def test_where_calls_could_not_be_sent_a_good_probe_is_enough_once() -> None:
    health = new_health()
    message(health, REFUSED, FAILURES_TO_OFFLINE)
    outages = health.outages(URL)
    health.record_probe(URL, GOOD[1], outages - 1)
    assert not health.is_online(URL)
    health.record_probe(URL, GOOD[1], outages)
    assert health.is_online(URL), "perhaps nobody calls"
    message(health, REFUSED, FAILURES_TO_OFFLINE)
    health.record_probe(URL, GOOD[1], health.outages(URL))
    assert not health.is_online(URL), "that probe was wrong"
    assert health.begin_trial(URL, is_message=True)
    message(health, GOOD[0])
    message(health, REFUSED, FAILURES_TO_OFFLINE)
    health.record_probe(URL, GOOD[1], health.outages(URL))
    assert health.is_online(URL)
    message(health, REFUSED, FAILURES_TO_OFFLINE - 1)
    message(health, TIMED_OUT)
    health.record_probe(URL, GOOD[1], health.outages(URL))
    assert not health.is_online(URL)


def test_one_trial_at_a_time_with_growing_pauses() -> None:
    clock = Clock()
    health = Health(clock, clock)
    message(health, TIMED_OUT, FAILURES_TO_OFFLINE)
    assert not health.begin_trial(URL, is_message=True), "no probe was good yet"
    health.record_probe(URL, GOOD[1], health.outages(URL))
    pauses = []
    for _ in range(8):
        assert health.begin_trial(URL, is_message=True)
        clock.now += 10
        assert not health.begin_trial(URL, is_message=True), "one is under way"
        message(health, TIMED_OUT, 2)  # and another, of somebody who knows of no other endpoint
        began = clock.now
        while not health.begin_trial(URL, is_message=True):
            clock.now += 1
        pauses.append(clock.now - began)
        clock.now += LONGEST_PAUSE  # the caller of that one has gone: nobody tells how it ended
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    health.record_probe(URL, REFUSED)
    assert not health.begin_trial(URL, is_message=True), "the probe says that it would fail"
    health.record_probe(URL, GOOD[1])
    assert not health.is_online(URL)
    assert health.begin_trial(URL, is_message=True)
    message(health, GOOD[0])
    assert health.is_online(URL)
    message(health, TIMED_OUT, FAILURES_TO_OFFLINE)
    health.record_probe(URL, GOOD[1])
    assert health.begin_trial(URL, is_message=True), "pauses begin anew"


@pytest.mark.parametrize(
    ("outcome", "back"),
    [
        (GOOD[0], True),
        (GOOD[1], True),
        (REJECTED, True),
        (said("a", Verdict.UNKNOWN, 500), False),
        (said("a", Verdict.REJECTED, 500), False),
        (said("a", Verdict.REJECTED, 429, "throttled"), False),
        (said("a", Verdict.REJECTED, 401, "denied"), False),
        (REFUSED, False),
    ],
)
def test_which_answer_to_a_trial_brings_it_back(outcome: Outcome, back: bool) -> None:
    clock = Clock()
    health = Health(clock, clock)
    call(health, TIMED_OUT, FAILURES_TO_OFFLINE)
    health.record_probe(URL, GOOD[1])
    assert health.begin_trial(URL, is_message=False)
    call(health, outcome)
    assert health.is_online(URL) is back
    clock.now += FIRST_PAUSE
    assert health.begin_trial(URL, is_message=False) is not back, "after a pause the next one"


@pytest.mark.parametrize(("outcome", "worked"), [(GOOD[0], True), (GOOD[1], True), (REFUSED, False), (REJECTED, False)])
def test_it_has_worked_once_the_credential_was_taken(outcome: Outcome, worked: bool) -> None:
    called, probed = new_health(), new_health()
    call(called, outcome)
    probed.record_probe(URL, outcome)
    assert (called.has_worked(URL), probed.has_worked(URL)) == (worked, worked)
    call(called, REFUSED)
    assert called.has_worked(URL) is worked, "an outage later does not change it"
