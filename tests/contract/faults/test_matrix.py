"""Every operation under every fault with one endpoint and with two; ``python -m tests.contract.faults.matrix`` prints
the table that stands in the README."""

import pytest

from tests.contract.faults.faults import FAULTS
from tests.contract.faults.matrix import Case, Found, found, lines
from tests.shape.tree import ROOT

pytestmark = pytest.mark.slow


def choose(*, repeats: bool, again: bool) -> list[tuple[Case, Found]]:
    found_here = found().items()
    return [(c, hit) for c, hit in found_here if c.operation.repeats is repeats and c.fault.again is again]


def test_the_table_is_the_readmes() -> None:
    table = lines()
    print(*table, sep="\n")
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()
    begin = next((index for index, line in enumerate(readme) if line.startswith("| the endpoint |")), 0)
    assert readme[begin : begin + len(table)] == table, "paste it: python -m tests.contract.faults.matrix"


def test_a_message_is_never_there_twice() -> None:
    for case, hit in choose(repeats=False, again=False):
        posts = [one for one in hit.seen if one.method == "POST"]
        tried = case.endpoints == 1 or not (case.fault.offline or (case.kind == "invoke" and case.fault.seen == 0))
        assert len(posts) == (case.fault.seen if tried and not case.fault.offline else 0), str(case)


def test_a_message_that_was_certainly_refused_is_sent_again() -> None:
    for case, hit in choose(repeats=False, again=True):
        posts = [one for one in hit.seen if one.method == "POST"]
        assert {one.body for one in posts} == {posts[0].body}, str(case)
        assert len(posts) == 1 if case.kind == "invoke" else len(posts) > 1, str(case)


def test_what_may_happen_twice_is_tried_a_few_times() -> None:
    answered = {"takes it", "takes it slowly", "404 with x-ms-error-code", "404 without it", "400", "401", "413"}
    for case, hit in choose(repeats=True, again=False):
        if case.fault.words in answered:
            assert len(hit.seen) == 1, str(case)
        elif case.fault.seen and not case.fault.offline:
            assert (1 if case.fault.hangs else 2) <= len(hit.seen) <= 3, str(case)
        else:
            assert hit.seen == (), str(case)


def test_the_other_endpoint_is_asked_once_whatever_the_first_one_does() -> None:
    for case, hit in found().items():
        if case.endpoints == 2 and case.kind != "members":
            assert hit.others == 1, str(case)


def test_done_is_said_of_nothing_else() -> None:
    taking = {"takes it", "takes it slowly"}
    for case, hit in found().items():
        if case.kind == "message" and hit.status == 202:
            assert case.fault.words in taking or (case.endpoints == 2 and (case.fault.offline or _is_absent(case)))
        if case.kind == "join" and hit.status in {202, 204}:
            assert case.fault.words in taking or (case.endpoints == 2 and _is_absent(case)), str(case)
        if case.kind in {"exists", "members"} and hit.status == 200:
            assert case.fault.words in taking or (case.kind == "members" and _is_absent(case)), str(case)


def _is_absent(case: Case) -> bool:
    return case.fault is FAULTS[2]
