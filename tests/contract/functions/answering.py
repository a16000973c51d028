"""A bridge whose functions answer requests, in front of a programmable service."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx
from signalr_bridge.functions.app import Invoker, sort_functions
from signalr_bridge.functions.app_folder import HostFile
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.functions.invocation import FunctionResult, HttpCall, HttpReply, Invocation
from signalr_bridge.main import create_app
from signalr_bridge.parts import Parts
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings import gather, load
from signalr_bridge.web.document import BridgeApp
from signalr_bridge.web.guards import ListenerApp, ListenerKind

from tests.contract.bridge.running import SERVICE, client
from tests.contract.endpoints.programmable import programmable_server
from tests.contract.functions.invoking import Answer, Code, bindings_of, describe

KEYS = (
    '[{"key": "a-key-of-a-caller", "name": "all"}, '
    '{"key": "a-key-of-functions", "name": "page", "rights": ["functions"], "hubs": ["other"]}, '
    '{"key": "a-key-of-the-admin", "name": "admin", "rights": ["functions-admin"]}, '
    '{"key": "a-key-of-a-sender", "name": "sender", "rights": ["send", "negotiate", "read"]}]'
)


def http(name: str, route: str | None = None, *more: Mapping[str, Any], **properties: Any) -> FunctionDescription:
    """A function that anybody may call, unless ``properties`` say otherwise."""
    trigger = {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous"} | properties
    return describe(trigger if route is None else trigger | {"route": route}, *more, name=name)


def reply_by_name(invocation: Invocation) -> FunctionResult:
    """The function's name, which tells who has answered."""
    assert isinstance(invocation.trigger, HttpCall)
    return FunctionResult(reply=HttpReply(200, [("Content-Type", "text/plain")], invocation.function.name.encode()))


@dataclass
class Answering:
    """A bridge with functions.

    Attributes:
        app: It.
        code: The functions' code.
        http: Calls it.
    """

    app: BridgeApp
    code: Code
    http: httpx.AsyncClient

    def at(self, listener: str) -> httpx.AsyncClient:
        """Calls it through a listener of this kind."""
        wire = httpx.ASGITransport(app=ListenerApp(self.app, ListenerKind(listener)))
        return httpx.AsyncClient(transport=wire, base_url="http://bridge", trust_env=False)

    def call(self) -> HttpCall:
        """The last request as its function has seen it."""
        trigger = self.code.calls[-1].trigger
        assert isinstance(trigger, HttpCall)
        return trigger


def use(app: BridgeApp, code: Code, functions: Sequence[FunctionDescription], prefix: str = "api") -> None:
    """Have these functions answer from now on. Raises ``SettingsError`` where the bridge does not take them."""
    parts: Parts = app.state.parts
    bindings = bindings_of(app)
    invoker = Invoker(code, bindings, RUNTIME)
    found = sort_functions(functions, invoker, bindings, HostFile(route_prefix=prefix), AppSettings({}))
    parts.function_apps.routes.use(found.http)


@asynccontextmanager
async def answering(
    *functions: FunctionDescription,
    answer: Answer = reply_by_name,
    prefix: str = "api",
    development: bool = False,
    settings: Mapping[str, str] = MappingProxyType({}),
    **more: str,
) -> AsyncIterator[Answering]:
    """A bridge with these functions and settings."""
    async with programmable_server() as service:
        given = {"AzureSignalRConnectionString": f"Endpoint={service.url};AccessKey={SERVICE};Version=1.0;"}
        read = load(gather(given | {"BRIDGE_CALLERS__KEYS": KEYS, "BRIDGE_DOCS": "true"} | dict(settings) | more, {}))
        app = create_app(read.model_copy(update={"development": development}))
        code = Code(answer)
        async with app.router.lifespan_context(app), client(app) as http:
            use(app, code, functions, prefix)
            yield Answering(app, code, http)
