"""What holds for one hub alone."""

from typing import Any, Literal

from pydantic import Field

from signalr_bridge.settings.sections.cors import CorsSettings
from signalr_bridge.settings.sections.fields import Section
from signalr_bridge.settings.sections.join import Joins
from signalr_bridge.settings.sections.negotiate import ClientSettings
from signalr_bridge.settings.sections.upstream import UpstreamSettings


class HubSettings(Section):
    connection: str | None = Field(default=None, description="the name of its connection; default: `BRIDGE_CONNECTION`")
    strategy: Literal["weighted", "sticky-user"] = Field(
        default="weighted", description="how clients are spread: by weight, or every user at one endpoint"
    )
    join: Joins = Field(
        default=(),
        description='groups that clients join for their claims: `{"claim": "role", "group": "role:{value}"}`',
    )
    negotiate: ClientSettings | None = None
    cors: CorsSettings | None = None
    upstream: UpstreamSettings | None = None


def complete_hubs(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as they are given, with every hub's own sections completed by those for all hubs."""
    hubs = settings.get("hubs")
    if not isinstance(hubs, dict):
        return settings
    return settings | {"hubs": {name.lower(): _complete(hub, settings) for name, hub in hubs.items()}}


def _complete(hub: Any, settings: dict[str, Any]) -> Any:
    if not isinstance(hub, dict):
        return hub
    own = {name: hub[name] for name in ("negotiate", "cors", "upstream") if isinstance(hub.get(name), dict)}
    return hub | {name: _merge(_for_one_hub(settings.get(name)), given) for name, given in own.items()}


def _merge(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    sections = {name: one for name, one in common.items() if isinstance(one, dict) and isinstance(own.get(name), dict)}
    return common | own | {name: one | own[name] for name, one in sections.items()}


def _for_one_hub(section: Any) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name != "hubs"} if isinstance(section, dict) else {}
