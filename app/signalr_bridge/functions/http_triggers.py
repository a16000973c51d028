"""Functions that answer HTTP requests, at ``/api/<route>``: their routes, who may call, and what they are given.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.functions.invocation import FunctionResult, HttpCall

RunHttp: TypeAlias = Callable[[HttpCall], Awaitable[FunctionResult]]
"""Runs a function for a request: with its inputs filled, and its outputs sent."""


@dataclass(frozen=True, slots=True)
class HttpFunction:
    """A function that answers requests.

    Attributes:
        function: Its bindings. Its trigger says the route, the methods and the ``authLevel``.
        prefix: What stands in front of its route: ``api``, or ``routePrefix`` of the app's ``host.json``.
        run: Runs it.
        believes_platform: Whether the platform's headers are believed. Else ``hide_headers`` takes them out of calls.
    """

    function: FunctionDescription
    prefix: str
    run: RunHttp
    believes_platform: bool = False


class FunctionRoutes:
    """The routes of all functions. They may change while the bridge runs, when a program beside it is asked anew."""

    def __init__(self) -> None:
        self.functions: Sequence[HttpFunction] = ()

    def use(self, functions: Sequence[HttpFunction]) -> None:
        """Answer by these functions from now on. Raises ``SettingsError`` for two that answer the same requests."""
        self.functions = functions
