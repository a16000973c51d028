"""How long a refusal counts, for whom, and how much of it is kept."""

from collections.abc import Callable

import pytest
from signalr_bridge.errors import Forbidden
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.web import refusals as module
from signalr_bridge.web.refusals import Refusals

from tests.unit.upstream.issued import FakeClock


def make() -> tuple[Refusals, FakeClock, Callable[[str], str | None]]:
    clock = FakeClock(100.0)
    refusals = Refusals(clock, RUNTIME.new_id)

    def wait(mark: str) -> str | None:
        """The seconds that an answer names. None when nothing is refused."""
        try:
            refusals.check(mark)
        except Forbidden as error:
            return (error.headers or {})["Retry-After"]
        return None

    return refusals, clock, wait


def test_each_refusal_counts_twice_as_long_up_to_a_minute() -> None:
    refusals, clock, wait = make()
    for seconds in (5, 10, 20, 40, 60, 60):
        for _ in range(3):
            refusals.refuse("m", "no")  # several tabs of one browser are refused together
        assert wait("m") == str(seconds)
        clock.now += seconds - 0.5
        assert wait("m") == "1"
        clock.now += 0.5
        assert wait("m") is None
    clock.now += module.FORGOTTEN_SECONDS
    refusals.refuse("m", "no")
    assert wait("m") == "5", "after ten quiet minutes it is a first one again"


@pytest.mark.parametrize(
    ("reason", "told"),
    [("You are banned.", "You are banned."), ("half \ud800", "half ?"), ("x" * 5000, "x" * 1024)],
)
def test_the_text_is_the_refusals(reason: str, told: str) -> None:
    refusals, _, _ = make()
    refusals.refuse("m", reason)
    with pytest.raises(Forbidden) as refused:
        refusals.check("m")
    assert refused.value.detail == told


@pytest.mark.parametrize("reason", ["", " \n"])
def test_without_a_text_it_is_the_general_one(reason: str) -> None:
    refusals, _, _ = make()
    refusals.refuse("m", reason)
    with pytest.raises(Forbidden, match="A handler refused this client"):
        refusals.check("m")


def test_a_mark_names_everything_and_nobody_else_makes_it() -> None:
    refusals, _, _ = make()
    same = ("chat", "ann", "{'room': ['7']}", b"session=1", "203.0.113.7")
    marks = {refusals.mark(*same) for _ in range(3)}
    others = {
        refusals.mark("news", *same[1:]),
        refusals.mark("chat", "bob", *same[2:]),
        refusals.mark("chat", None, *same[2:]),
        refusals.mark("chat", None, *same[2:], claims="({'tenant': ['a']}, ())"),
        refusals.mark("chat", "", *same[2:]),
        refusals.mark("chat", "ann", "{}", *same[3:]),
        refusals.mark("chat", "ann", same[2], b"session=2", same[4]),
        refusals.mark(*same[:4], "203.0.113.8"),
        Refusals(FakeClock(0.0), RUNTIME.new_id).mark(*same),
    }
    assert len(marks) == 1
    assert len(others) == 9
    assert not marks & others
    assert "ann" not in repr(marks)


def test_clients_that_look_the_same_do_not_shut_each_other_out() -> None:
    refusals, clock, wait = make()
    with_cookie = refusals.mark("chat", None, "{}", b"session=1", "a")

    def new() -> str:
        return refusals.mark("chat", None, "{}", b"", "a")

    for mark in (new(), with_cookie):
        refusals.refuse(mark, "no")
        refusals.admit(new())
        refusals.admit(with_cookie)
    assert (wait(new()), wait(with_cookie)) == (None, "5"), "who has a cookie is told apart"
    clock.now += module.SHARED_SECONDS - 1
    refusals.refuse(new(), "no")
    assert wait(new()) is None
    clock.now += 1
    refusals.refuse(new(), "no")
    assert wait(new()) == "5", "nobody else has been let in for ten minutes"


def test_a_client_with_its_old_token_is_told_apart_from_those_that_look_the_same() -> None:
    refusals, clock, wait = make()
    same = ("chat", None, "{}", b"", "a")
    mine, other = refusals.mark(*same), refusals.mark(*same)
    assert mine != other
    refusals.refuse(mine, "no")
    assert wait(other) == "5", "as long as nobody was let in they are one"
    refusals.admit(other)
    again = refusals.mark(*same, before=mine)
    assert (again, wait(again), wait(refusals.mark(*same))) == (mine, "5", None)
    clock.now += 5
    refusals.refuse(again, "no")
    assert (wait(again), wait(other)) == ("10", None)
    assert refusals.mark("news", *same[1:], before=mine)[:16] != mine[:16]
    assert refusals.mark("news", *same[1:], before=mine)[16:] != mine[16:], "a token of another page is not believed"


def test_memory_is_bounded_and_other_handlers_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REFUSED", 2)
    refusals, _, wait = make()
    for mark in ("a", "b", "a", "c", "", "x" * 33):
        refusals.refuse(mark, "no")
    assert [mark for mark in ("a", "b", "c", "", "x" * 33) if wait(mark)] == ["a", "c"]
    refusals.watch({"chat"})
    assert refusals.is_empty
    assert [refusals.may_refuse(hub) for hub in ("chat", "news")] == [True, False]
    refusals.watch({"*"})
    assert refusals.may_refuse("news")
