"""Reading an item: its properties, with destinations and endpoints checked."""

from collections.abc import Callable
from typing import Any

from signalr_bridge.errors import InvalidItem, InvalidName, UnknownEndpoint
from signalr_bridge.protocol.names import check_connection_id, check_group, check_user_id
from signalr_bridge.web.properties import Properties

HasEndpoint = Callable[[str], bool]
_CHECKS = {"userId": check_user_id, "groupName": check_group, "connectionId": check_connection_id}


class Reader(Properties):
    """An item's properties."""

    def name(self, name: str) -> str:
        """A destination that was given, checked; the empty text when it is absent or (a fault) unusable."""
        value = self.value(name, str, "a string")
        if value is None:
            return ""
        try:
            return _CHECKS[name](value)
        except InvalidName as error:
            self.fault(name, InvalidName, error.detail)
            return ""

    def texts(self, name: str) -> tuple[str, ...]:
        values = self.value(name, list[str], "an array of connection ids") or []
        for index, value in enumerate(values):
            try:
                check_connection_id(value)
            except InvalidName as error:
                self.fault(f"{name}/{index}", InvalidName, error.detail)
        return tuple(values)

    def endpoints(self, has_endpoint: HasEndpoint) -> frozenset[str] | None:
        values = self.value("endpoints", list[str | dict[str, Any]], "an array of endpoint names or objects")
        if values is None:
            return None
        if not values:
            self.fault("endpoints", InvalidItem, "Name at least one endpoint, or leave this out to mean all.")
        names = [_endpoint_name(one) for one in values]
        for index, name in enumerate(names):
            if not isinstance(name, str) or not has_endpoint(name):
                self.fault(f"endpoints/{index}", UnknownEndpoint, "No endpoint has this name.")
        return frozenset(str(name).lower() for name in names)


def _endpoint_name(given: str | dict[str, Any]) -> Any:
    """The name in one of an item's ``endpoints``; an object's own property ignores case, as everywhere."""
    if isinstance(given, str):
        return given
    named = [value for name, value in given.items() if name.lower() == "name"]
    return named[0] if len(named) == 1 else None
