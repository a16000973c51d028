"""Byte for byte the answers that were recorded before the hot path was written anew, apart from what was meant.

Where an answer differs on purpose, it stands in ``CHANGES``, with the reason.
"""

import re
from collections.abc import Iterator

import pytest
from signalr_bridge.main import create_app
from signalr_bridge.settings import gather, load

from tests.contract.bridge.admission.openid import OpenId
from tests.contract.bridge.answers.bridges import trusted_issuer, world
from tests.contract.bridge.answers.cases import CHANGES, GROUPS
from tests.contract.bridge.answers.corpus import Group, Recorded, ask, read_corpus
from tests.contract.bridge.answers.exchange import Answered, normalise

RECORDED = read_corpus()[1]

STATUSES = {100, 200, 202, 204, 207, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 502, 503, 504}

CODES = """
    body-too-large confirmation-required connection-not-found delivery-failed delivery-unknown client-timeout forbidden
    hub-not-found idempotency-in-progress idempotency-mismatch internal-error invalid-continuation-token invalid-header
    invalid-item invalid-name invalid-query invoke-failed malformed-json method-not-allowed no-default-hub
    no-endpoint-available no-handler not-present overloaded rate-limited reserved-claim route-not-found throttled
    token-too-long unauthenticated unknown-endpoint unknown-property unsupported-media-type url-too-long
"""
"""Those of the contract that a request can meet today. For others the bridge must stop, or have an identity."""


@pytest.fixture(scope="module")
def issuer() -> Iterator[OpenId]:
    with trusted_issuer() as running:
        yield running


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
async def test_answers_are_the_same(group: Group, issuer: OpenId) -> None:
    async with world(issuer) as around:
        found = await ask(group, around)
    wrong = [
        describe(recorded, one)
        for recorded, one in zip(RECORDED[group.name], found, strict=True)
        if one != recorded.answered and recorded.case.name not in CHANGES
    ]
    assert not wrong, "\n\n".join([f"{len(wrong)} of {len(found)} answers differ", *wrong[:10]])


def describe(recorded: Recorded, found: Answered) -> str:
    """Both answers of a case, as far as people can read them."""
    assert recorded.answered is not None
    parts = [recorded.case.name, repr(b"".join(recorded.case.sent)[:600])]
    for title, one in (("recorded", recorded.answered), ("now", found)):
        parts += [f"{title}, {one.after}:", *(repr(answer[:2000]) for answer in one.answers)]
    return "\n".join(parts)


async def test_what_is_changed_is_changed(issuer: OpenId) -> None:
    changed = [
        Group(group.name, group.bridge, [one for one in group.cases if one.name in CHANGES], group.listener)
        for group in GROUPS
    ]
    cases = 0
    for group in (one for one in changed if one.cases):
        async with world(issuer) as around:
            for case, answered in zip(group.cases, await ask(group, around), strict=True):
                head = answered.answers[0].partition(b"\r\n\r\n")[0]
                status, _, code = CHANGES[case.name].partition(" ")
                assert head.startswith(f"HTTP/1.1 {status} ".encode())
                assert (f"\r\nx-problem-code: {code}\r\n".encode() in head) is bool(code)
                is_cut = code == "invalid-header" or case.name.startswith("continue")
                assert b"\r\nconnection: close" in head or not is_cut
                of_development = " from " in case.name
                assert (b"\r\naccess-control-allow-origin: " in head) is (of_development and not code)
                cases += 1
    assert cases == len(CHANGES)


def test_the_corpus_holds_the_cases_as_they_are_written() -> None:
    """Else it must be recorded anew, on a tree whose answers are right."""
    for group in GROUPS:
        assert [one.case for one in RECORDED[group.name]] == list(group.cases), group.name
    assert set(RECORDED) == {group.name for group in GROUPS}
    without = {one.case.name for group in RECORDED.values() for one in group if one.answered is None}
    assert without == set(CHANGES)


def test_the_corpus_is_large_and_has_every_status_and_code() -> None:
    answers = [
        answer for group in RECORDED.values() for one in group if one.answered for answer in one.answered.answers
    ]
    assert len(answers) >= 1_500
    assert {int(answer.split(b" ")[1]) for answer in answers} == STATUSES
    codes = {found[1].decode() for answer in answers if (found := re.search(rb"\r\nx-problem-code: (\S+)\r\n", answer))}
    assert codes == set(CODES.split())


def test_the_corpus_has_every_route() -> None:
    """Each route of the OpenAPI document has been asked for with success and without."""
    settings = {"BRIDGE_CALLERS__KEYS": "a-key-of-a-caller", "BRIDGE_DOCS": "true", "BRIDGE_CONSOLE": "true"}
    paths = create_app(load(gather(settings, {}))).openapi()["paths"]
    routes = {(method.upper(), path) for path, item in paths.items() for method in item}
    assert len(routes) >= 31
    for well in (True, False):
        asked = {route for route in routes if any(is_of(one, *route, well=well) for one in every_case())}
        assert routes - asked == set()


def every_case() -> Iterator[Recorded]:
    for group in RECORDED.values():
        yield from group


def is_of(recorded: Recorded, method: str, path: str, *, well: bool) -> bool:
    template = re.sub(r"\\\{\w+\\\}", "[^/ ?]+", re.escape(path))
    target = re.match(rb"(\S+) (\S+) HTTP", recorded.case.sent[0])
    if target is None or recorded.answered is None or target[1].decode() != method:
        return False
    if re.fullmatch(template, target[2].decode("latin-1").partition("?")[0]) is None:
        return False
    return (int(recorded.answered.answers[-1].split(b" ")[1]) < 300) is well


def test_only_what_differs_from_run_to_run_is_made_the_same() -> None:
    given = b"HTTP/1.1 200 OK\r\ndate: Fri, 27 Nov 2026 18:56:08 GMT\r\nx-request-id: %s\r\n\r\nurn:request:%s %s"
    own, other = b"0123456789abcdef" * 2, b"f" * 32
    zeros = b"0" * 32
    epoch = given.replace(b"Fri, 27 Nov 2026 18:56:08", b"Thu, 01 Jan 1970 00:00:00")
    answer = given % (own, own, other)
    assert normalise(answer, b"", {}) == epoch % (zeros, zeros, other)
    assert normalise(answer, b"X-Request-Id: " + own, {}) == epoch % (own, own, other)
    for almost in (answer.replace(b"GMT", b"UTC"), answer.replace(b"date:", b"Date:")):
        assert normalise(almost, own, {}) == almost
    text = b"http://127.0.0.1:40001/ http://localhost:40001 127.0.0.1:40001 http://127.0.0.1:400011"
    expected = b"http://127.0.0.1:10001/ http://localhost:10001 127.0.0.1:40001 http://127.0.0.1:400011"
    assert normalise(text, b"", {40001: 10001}) == expected
