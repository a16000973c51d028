"""What there is: each hub that settings and handlers name, its handlers, what admits its clients, and its endpoints."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from signalr_bridge.protocol import json_text
from signalr_bridge.settings import Settings
from signalr_bridge.upstream.dispatch import ANY, Dispatch, Handler
from signalr_bridge.upstream.negotiate_handlers import NegotiateHandlers
from signalr_bridge.web.callers import Right
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import JSON, Request
from signalr_bridge.web.table import Description, Route
from signalr_bridge.wire.exchange import Answer, make_answer

Admits: TypeAlias = Literal["anonymous", "jwt", "platform", "handler"]
"""What may admit a client: nobody's identity, a verified token, the platform's headers, or a negotiate handler."""


_ADMITTED: dict[Admits, str] = {
    "anonymous": "anybody",
    "jwt": "who has a JWT",
    "platform": "whom the platform names",
    "handler": "whom its negotiate handler admits",
}
_NOBODY = "nobody, but callers may negotiate for them"


class HandlerShape(BaseModel):
    """A handler, and the events that it answers. ``*`` stands for all."""

    category: Literal["connections", "messages", "*"]
    event: str
    source: str = Field(description="where people find it", examples=["my_chat:chat"])


class HubShape(BaseModel):
    """One hub, and what holds of it."""

    name: str
    handlers: list[HandlerShape]
    clients: list[Admits] = Field(description="what admits clients; none: callers alone may negotiate")
    endpoints: list[str] = Field(description="the names of its endpoints")


@dataclass(frozen=True, slots=True)
class HubFacts:
    """What holds of one hub.

    Args:
        name: Its name in lower case.
        handlers: The handlers that answer its events, those of all hubs among them.
        clients: What admits its clients. Without any, only callers may negotiate.
        endpoints: The names of its endpoints.
    """

    name: str
    handlers: Sequence[Handler]
    clients: Sequence[Admits]
    endpoints: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """The facts as they stand in answers."""
        return {
            "name": self.name,
            "handlers": [{"category": one.category, "event": one.event, "source": one.source} for one in self.handlers],
            "clients": [*self.clients],
            "endpoints": [*self.endpoints],
        }


def name_hubs(settings: Settings, handled: Iterable[str]) -> list[str]:
    """The hubs that settings and handlers name, each once, in lower case. ``handled`` are the hubs of handlers."""
    default = [settings.default_hub] if settings.default_hub else []
    named = [*default, *settings.negotiate.hubs, *settings.negotiate.paths.values(), *settings.hubs, *handled]
    return list(dict.fromkeys(hub.lower() for hub in named if hub != ANY))


def describe_hubs(
    settings: Settings, dispatch: Dispatch, deciding: NegotiateHandlers, bound: Iterable[str] = ()
) -> list[HubFacts]:
    """What holds of each hub that settings and handlers name, or that is ``bound``. The default hub is the first."""
    return [
        HubFacts(
            hub,
            dispatch.find_for_hub(hub),
            list_admitting(settings, hub, deciding),
            list(dict.fromkeys(one.name for one in settings.endpoints_of(hub))),
        )
        for hub in name_hubs(settings, [*(one.hub for one in dispatch.handlers), *deciding.hubs, *bound])
    ]


def list_admitting(settings: Settings, hub: str, deciding: NegotiateHandlers) -> list[Admits]:
    """What may admit the clients of a hub."""
    rules = settings.negotiate_of(hub)
    admits: dict[Admits, bool] = {
        "anonymous": rules.anonymous,
        "jwt": bool(rules.jwt),
        "platform": rules.platform_identity,
        "handler": deciding.find(hub) is not None,
    }
    return [name for name, holds in admits.items() if holds]


def describe_clients(clients: Sequence[Admits]) -> str:
    """Who may connect. A negotiate handler decides before the rules do."""
    by_rules = " or ".join(_ADMITTED[one] for one in clients if one != "handler")
    if "handler" not in clients:
        return by_rules or _NOBODY
    return (
        f"{_ADMITTED['handler']}, and where it leaves it to the rules, {by_rules}" if by_rules else _ADMITTED["handler"]
    )


class HubList:
    """The hubs as they are at this moment, because settings and handlers may change while the bridge runs.

    Args:
        settings: Gives the settings in force.
        dispatch: Gives the handlers in force.
        deciding: The negotiate handlers.
        bound: Gives the hubs that bindings of functions name.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        dispatch: Callable[[], Dispatch],
        deciding: NegotiateHandlers,
        bound: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._settings, self._dispatch, self._deciding, self._bound = settings, dispatch, deciding, bound

    def describe(self) -> list[HubFacts]:
        """What holds of each hub."""
        return describe_hubs(self._settings(), self._dispatch(), self._deciding, self._bound())

    def describe_others(self) -> list[Admits]:
        """What admits the clients of a hub that nothing names, where all hubs may be negotiated for."""
        return list_admitting(self._settings(), ANY, self._deciding)


async def list_hubs(request: Request) -> Answer:
    """The hubs that the caller may see: their handlers, what admits their clients, and their endpoints."""
    caller = request.require_caller()
    seen = [one.as_json() for one in request.part(HubList).describe() if caller.may(Right.READ, one.name)]
    return make_answer(200, json_text.encode(seen), JSON)


ROUTES = tuple(
    Route(
        method,
        "/hubs",
        operation,
        list_hubs,
        rights=frozenset({Right.READ}),
        of_any_hub=True,
        query=(),
        description=Description(
            tags=["who is there"],
            responses={200: {"model": list[HubShape], "description": "what there is"}, **PROBLEM_ANSWER},
            more={"response_class": JSONResponse},
        ),
    )
    for method, operation in (("GET", "listHubs"), ("HEAD", "listHubsHead"))
)
