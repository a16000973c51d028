"""Settings of traffic: endpoints with their credentials and calls, hubs, forwarded events, limits and reloading."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr

from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.settings.access import ClientSettings, CorsSettings, UpstreamSettings
from signalr_bridge.settings.azure_identity import AzureVariables
from signalr_bridge.settings.fields import JUDGED, LIVE, Secrets, Section, Texts, read_list

EndpointType: TypeAlias = Literal["Primary", "Secondary"]
"""How an endpoint is used: clients go to secondary ones only while no primary one is online."""


class CredentialSettings(Section):
    """The credential of an endpoint. Only ``access-key`` is not an identity: its key is in the connection string."""

    kind: Literal[
        "access-key",
        "default",
        "managed-identity",
        "client-secret",
        "client-certificate",
        "workload-identity",
    ] = "access-key"
    tenant_id: str | None = None
    client_id: str | None = None
    resource_id: str | None = None
    object_id: str | None = None
    client_secret: SecretStr | None = None
    certificate_file: str | None = None
    token_file: str | None = None
    allowed_tenants: tuple[str, ...] = ()
    variables: AzureVariables = AzureVariables()
    """What the settings say under the names of the library's variables. They count for ``default``."""

    def describe(self) -> str:
        """The credential in a few words, without any secret."""
        ids = (("client", self.client_id), ("resource", self.resource_id), ("object", self.object_id))
        named = [f"{kind} {value}" for kind, value in ids if value is not None]
        return " ".join([self.kind.replace("-", " "), *named])


class EndpointTuning(Section):
    """The settings ``BRIDGE_ENDPOINTS__<NAME>__*`` of an endpoint."""

    weight: Annotated[float, LIVE] = Field(
        default=1, ge=0, le=1_000_000, description="the endpoint's share of new clients; 0 sends it no new ones"
    )
    upstream_app_id: Annotated[str | None, JUDGED] = Field(
        default=None, description="the application id in the tokens of this instance's upstream calls"
    )
    lenient_404: Annotated[bool, LIVE] = Field(
        default=False, description='"absent" is said without an error code, as by Microsoft\'s emulator up to 1.1.0'
    )


class EndpointSettings(EndpointTuning):
    """One SignalR instance. The unnamed one is called ``default``. ``source`` is where it was found.

    ``setting`` names the setting of an unnamed one where that is not its connection's name.
    """

    name: str = "default"
    endpoint_type: EndpointType = "Primary"
    connection: ConnectionString
    credential: CredentialSettings = CredentialSettings()
    source: str = ""
    setting: str = ""


class RetrySettings(Section):
    """``AzureSignalRRetry``: how often a call is repeated, and after how many seconds."""

    max_retries: int = Field(default=3, ge=0, le=100)
    delay_seconds: float = Field(default=0.8, ge=0, le=3600)
    max_delay_seconds: float = Field(default=60, ge=0, le=3600)
    mode: Literal["Fixed", "Exponential"] = "Fixed"


class CallSettings(Section):
    """How endpoints are called. ``attempt_seconds`` limits one attempt.

    Without ``retry`` the bridge's own counts and delays are used.
    """

    attempt_seconds: float | None = Field(default=None, gt=0)
    retry: RetrySettings | None = None
    messagepack: bool = False


def read_joins(value: Any) -> Any:
    """A list of rules, or one rule, either perhaps as JSON."""
    values = read_list(f"[{value}]" if isinstance(value, str) and value.lstrip().startswith("{") else value)
    return [values] if isinstance(values, dict) else values


class JoinSettings(Section):
    """Clients with this claim join this group."""

    claim: str = Field(min_length=1)
    group: str = Field(min_length=1, max_length=1024)


Joins = Annotated[tuple[JoinSettings, ...], BeforeValidator(read_joins)]


class HubSettings(Section):
    """What holds for one hub. A section that is None is as for all hubs."""

    connection: Annotated[str | None, JUDGED] = Field(
        default=None, description="the name of the hub's connection; default: `BRIDGE_CONNECTION`"
    )
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
    """The given settings, with each hub's own sections completed by those for all hubs."""
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


_OF_ALL_HUBS = frozenset({"hubs", "paths"})
"""The members of sections that say which hubs there are, and so are nothing of one hub."""


def _for_one_hub(section: Any) -> dict[str, Any]:
    if not isinstance(section, dict):
        return {}
    return {name: value for name, value in section.items() if name not in _OF_ALL_HUBS}


class ForwardSettings(Section):
    """Where events are forwarded over HTTP, and which ones."""

    hub: str = Field(default="*", description="a hub's name, or `*`")
    category: Literal["connections", "messages", "negotiate", "*"] = Field(
        default="*", description="which events; `negotiate`, who may connect, is asked by name only"
    )
    event: str = Field(default="*", description="an event's name, or `*`")
    # It is not shown, because a function's URL has its code in the query.
    url: str = Field(description="where to post; `{hub}` and `{event}` stand as whole path segments", repr=False)
    secrets: Annotated[Secrets, LIVE] = Field(
        default=(), description="sign every call with each of these secrets (`whsec_...`)"
    )
    unsigned: bool = Field(default=False, description="post without a signature")
    format: Literal["json", "cloudevents", "functions"] = Field(
        default="json", description="`json`, `cloudevents`, or `functions`: a Functions custom handler's contract"
    )
    function: str | None = Field(default=None, description="`functions`: the function to run, behind the URL's path")
    binding: str = Field(default="invocation", description="`functions`: the trigger's name in the payload")
    parameter_names: Texts | None = Field(default=None, description="`functions`: names of a message's arguments")
    headers: Texts = Field(
        default=(), description="`negotiate`: the headers of clients' requests that are sent on, such as `cookie`"
    )
    timeout_seconds: float = Field(
        default=10, gt=0, le=100, description="how long one event may take; for `negotiate` the default is 5"
    )
    retry_seconds: float = Field(
        default=60, ge=0, le=3600, description="how long connection events are retried; 0 means never"
    )


class FunctionAppSettings(Section):
    """A function app in Python, which runs inside the bridge."""

    folder: str | None = Field(default=None, description="the folder of a Python function app to run in the bridge")
    timers: bool = Field(default=False, description="run the timers of function apps; of several replicas one does so")


class FunctionsSettings(Section):
    """Functions in a program beside the bridge, which speaks the Functions host's custom-handler contract."""

    url: str | None = Field(default=None, description="the program's address, such as `http://app:7071`", repr=False)
    folder: str | None = Field(
        default=None, description="the folder with its `function.json` files; default: ask the program for its list"
    )
    secrets: Annotated[Secrets, LIVE] = Field(
        default=(), description="sign every call with each of these secrets (`whsec_...`)"
    )


class OutputSettings(Section):
    """How items are read."""

    empty_means_all: bool = Field(
        default=False, description="an empty destination means everybody, as in the Functions bindings"
    )


class LimitsSettings(Section):
    """Rates, sizes and times."""

    caller_per_second: float | None = Field(
        default=None, gt=0, description="how many requests one caller may send per second, and in one burst"
    )
    negotiate_per_second: float | None = Field(
        default=None, gt=0, description="how often one client address may negotiate per second, and in one burst"
    )
    client_messages_per_second: float | None = Field(
        default=None, gt=0, description="how many messages one client may send per second, and in one burst"
    )
    in_flight: int = Field(default=1000, ge=1, description="how many requests may be in flight")
    body_bytes: int = Field(
        default=268_435_456, ge=1, description="how many bytes the bodies of all requests in flight may take together"
    )
    connections: int = Field(default=64, ge=1, description="the most connections to one endpoint or backend")
    deadline_seconds: float = Field(
        default=10, ge=0.1, le=100, description="the deadline of a call that names none itself"
    )
    upstream_bytes: int = Field(default=4_194_304, ge=1, description="the largest upstream body")
    handler_seconds: float = Field(
        default=60, gt=0, le=3600, description="how long a Python handler without a time-out of its own may take"
    )
    keep_alive_seconds: float = Field(
        default=120, ge=1, le=3600, description="how long a connection to the bridge is kept that nothing is asked on"
    )
    drain_seconds: float = Field(
        default=5, ge=0, le=300, description="how long requests are still taken when the bridge stops and is not ready"
    )
    grace_seconds: float = Field(
        default=20, ge=0, le=300, description="how long calls in flight may take to end when the bridge stops"
    )


class ReloadSettings(Section):
    """How often settings are read again."""

    stores_seconds: float = Field(
        default=60, gt=0, le=86_400, description="how often Key Vault and App Configuration are asked"
    )
