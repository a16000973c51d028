"""How a negotiate handler in Python is registered, and what is wrong with one that could not work."""

from functools import partial
from typing import Any

import pytest
from signalr_bridge import Admission, Context, Hub, NegotiateRequest
from signalr_bridge.errors import SettingsError
from signalr_bridge.upstream.python.handler import read_handlers
from signalr_bridge.upstream.python.negotiate_handler import read_negotiate_handler
from signalr_bridge.upstream.python.threads import Threads

THREADS = Threads()


async def plain(request):  # type: ignore[no-untyped-def]
    return None


async def typed(request: NegotiateRequest) -> Admission | None:
    return None


async def quoted(request: "NegotiateRequest", more: int = 1, *rest: Any, **options: Any) -> None: ...


async def anything(request: Any) -> None: ...


async def broad(request: object) -> None: ...


def sync(*requests: Any) -> None: ...


class Called:
    async def __call__(self, request: NegotiateRequest) -> None: ...


async def with_reason(reason: str, request: NegotiateRequest) -> None: ...


async def of_a_context(context: Context) -> None: ...


async def of_a_map(request: dict[str, str]) -> None: ...


async def of_nothing() -> None: ...


async def of_keywords(*, request: NegotiateRequest) -> None: ...


async def of_two(request: NegotiateRequest, context: Context) -> None: ...


async def of_a_missing_name(request: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def yields(request: NegotiateRequest) -> Any:
    yield None


@pytest.mark.parametrize(
    "function", [plain, typed, quoted, anything, broad, sync, Called(), partial(with_reason, "why")]
)
def test_a_function_that_takes_the_request(function: Any) -> None:
    hub = Hub("Chat")
    assert hub.negotiate(function) is function
    found = read_negotiate_handler(hub, THREADS, 60)
    assert found is not None
    assert (found.hub, found.seconds, found.call.threads) == ("chat", 60, THREADS if function is sync else None)
    assert found.source.startswith(f"{__name__}:")
    assert read_handlers(hub, THREADS) == [], "it answers no event"


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (of_a_context, "of the type Context, but it is given a NegotiateRequest"),
        (of_a_map, r"of the type dict\[str, str\], but it is given a NegotiateRequest"),
        (of_a_missing_name, "an annotation that means nothing"),
        (of_nothing, "no first parameter"),
        (of_keywords, "no first parameter"),
        (of_two, "takes more than the request: 'context'"),
        (yields, "yields"),
        (5, "no function"),
        (Called, "no function"),
    ],
)
def test_one_that_could_not_work(function: Any, told: str) -> None:
    hub = Hub("chat")
    hub.negotiate(function)
    with pytest.raises(SettingsError, match=told):
        read_negotiate_handler(hub, THREADS)


def test_a_time_out_of_its_own_goes_before_the_hubs() -> None:
    own, of_hub = Hub("chat", timeout_seconds=5), Hub("chat", timeout_seconds=5)
    own.negotiate(timeout_seconds=2)(typed)
    of_hub.negotiate(typed)
    assert [one and one.seconds for one in (read_negotiate_handler(hub, THREADS, 60) for hub in (own, of_hub))] == [
        2,
        5,
    ]
    wrong = Hub("chat")
    wrong.negotiate(timeout_seconds=0)(typed)
    with pytest.raises(SettingsError, match="more than 0"):
        read_negotiate_handler(wrong, THREADS)


class Team(Hub):
    async def on_negotiate(self, request: NegotiateRequest) -> Admission:
        return Admission("ann")

    async def send(self, context: Context) -> None: ...


def test_the_class_form() -> None:
    found = read_negotiate_handler(Team(), THREADS)
    assert found is not None
    assert (found.hub, found.source) == ("team", f"{__name__}:Team.on_negotiate")
    assert [one.event for one in read_handlers(Team(), THREADS)] == ["send"]


def test_a_hub_has_one_negotiate_handler_or_none() -> None:
    assert read_negotiate_handler(Hub("chat"), THREADS) is None
    both = Team()
    both.negotiate(typed)
    with pytest.raises(SettingsError, match=r"several negotiate handlers: .*typed, .*on_negotiate"):
        read_negotiate_handler(both, THREADS)
