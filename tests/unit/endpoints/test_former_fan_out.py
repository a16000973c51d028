"""A fan-out that begins everywhere and then waits says the same as one that performs one attempt after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from signalr_bridge.endpoints.attempts import RetryBreaker, RetryPolicy, attempt_seconds, next_delay, settle
from signalr_bridge.endpoints.endpoint import Code, Endpoint, Outcome, Verdict
from signalr_bridge.endpoints.health import Health, Report
from signalr_bridge.endpoints.outcome import Result, merge
from signalr_bridge.endpoints.registry import Registry, split_targets
from signalr_bridge.protocol.rest import Action, Operation

from tests.unit.endpoints.fakes import Clock, FakeTransport, endpoint, new_health, said
from tests.unit.observed import Recorder

ENDPOINTS = [endpoint("a"), endpoint("b"), endpoint("x", "Secondary"), endpoint("twice", url="https://a.example")]
POLICY = RetryPolicy(first_delay=0.0)
START, DEADLINE = 1000.0, 1004.0
SAID = [
    said("", Verdict.ACCEPTED),
    said("", Verdict.ABSENT),
    said("", Verdict.REJECTED, 400),
    said("", Verdict.REJECTED, 429, "throttled"),
    replace(said("", Verdict.REJECTED, 503, "throttled"), retry_after=60.0),
    said("", Verdict.REJECTED, 500),
    said("", Verdict.REJECTED, 401, "denied"),
    said("", Verdict.UNREACHABLE),
    said("", Verdict.UNREACHABLE, None, "no-credential"),
    said("", Verdict.UNREACHABLE, None, "overloaded"),
    said("", Verdict.UNKNOWN),
    said("", Verdict.UNKNOWN, 500),
]

# The last answer of a script stays, so a script ends with one that ends the attempts.
scripts = st.lists(st.sampled_from(SAID), max_size=5).map(lambda some: [*some, SAID[0]])
operations = st.sampled_from(Action).map(lambda action: Operation(action, "chat", "u", "g", "c"))
Facts = list[tuple[str, dict[str, Any]]]


class Former:
    """The fan-out as it was: each endpoint has a loop of its own, here one after the other."""

    def __init__(self, scripts: Mapping[str, Sequence[Outcome]], health: Health) -> None:
        self.scripts = {name: list(script) for name, script in scripts.items()}
        self.health = health
        self.breakers = {one.url: RetryBreaker() for one in ENDPOINTS}
        self.facts = Recorder()
        self.attempts: list[tuple[str, float]] = []

    def perform(self, operation: Operation) -> Result:
        up, down = split_targets(ENDPOINTS, lambda one: self.health.state(one.url).is_down, None)
        outcomes = [self._perform_at(one, operation) for one in up]
        left_out = [Outcome(one.name, one.endpoint_type, Verdict.OFFLINE) for one in down]
        for one in left_out:
            self._tell(operation, one)
        return merge(operation.action, [*outcomes, *left_out])

    def _perform_at(self, one: Endpoint, operation: Operation) -> Outcome:
        earlier, attempt, remaining = None, 1, DEADLINE - START
        while True:
            self.attempts.append((one.name, attempt_seconds(POLICY, operation.action, attempt, remaining)))
            period = self.health.period(one.url)
            script = self.scripts[one.name]
            answer = script.pop(0) if len(script) > 1 else script[0]
            outcome = replace(answer, name=one.name, endpoint_type=one.endpoint_type)
            if outcome.code is not Code.OVERLOADED:
                if operation.action is not Action.INVOKE or outcome.verdict is not Verdict.UNKNOWN:
                    self.health.record_call(one.url, outcome, period, is_message=operation.action.is_message)
                self.breakers[one.url].record(outcome, attempt)
            earlier = settle(earlier, outcome)
            delay = next_delay(POLICY, operation.action, outcome, attempt, remaining, lambda: 0.0)
            if delay is None or self.breakers[one.url].ends_retries(outcome):
                self._tell(operation, earlier)
                return earlier
            fact = {"endpoint": one.name, "outcome": outcome.verdict, "code": outcome.code}
            self.facts.operation_retried(**fact, attempt=attempt, delay=delay)
            attempt += 1

    def _tell(self, operation: Operation, outcome: Outcome) -> None:
        self.facts.operation_ended(endpoint=outcome.name, outcome=outcome.verdict, code=outcome.code)


def of_each(facts: Facts) -> dict[str, list[tuple[Any, ...]]]:
    """What was told of each endpoint, in its order."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for kind, fact in facts:
        known = (kind, fact["outcome"], fact["code"], fact.get("attempt"), fact.get("delay"))
        found.setdefault(fact["endpoint"], []).append(known)
    return found


def at_each(attempts: Sequence[tuple[str, float]]) -> dict[str, list[float]]:
    """The seconds of each attempt, by endpoint."""
    return {name: [seconds for one, seconds in attempts if one == name] for name, _ in attempts}


def reports(health: Health) -> list[Report]:
    return [health.report(one.url) for one in ENDPOINTS]


@given(st.lists(st.tuples(operations, scripts, scripts, scripts), min_size=1, max_size=6))
async def test_results_are_those_of_the_former_way(
    calls: list[tuple[Operation, list[Outcome], list[Outcome], list[Outcome]]],
) -> None:
    recorder, health, former = Recorder(), new_health(), Former({}, new_health())
    transport = FakeTransport()
    registry = Registry(
        ENDPOINTS, transport, health, clock=Clock(START), random=lambda: 0.0, policy=POLICY, observer=recorder
    )
    for operation, *scripts in calls:
        transport.answers = {name: list(script) for name, script in zip("abx", scripts, strict=True)}
        former.scripts = {name: list(script) for name, script in zip("abx", scripts, strict=True)}
        result = await registry.perform(operation, None, names=None, deadline=DEADLINE)
        assert result == former.perform(operation)
        assert reports(health) == reports(former.health)
    assert of_each(recorder.facts) == of_each(former.facts.facts)
    assert at_each([(call.endpoint, call.seconds) for call in transport.calls]) == at_each(former.attempts)
