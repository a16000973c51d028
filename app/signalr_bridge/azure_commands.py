"""``azure``: the `az` lines that set up the configured SignalR instances: mode, upstream, CORS, role."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import quote
from urllib.parse import urlsplit

from pydantic import SecretStr

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.origin import is_loopback_name
from signalr_bridge.settings.model import CredentialSettings, EndpointSettings, Settings, UpstreamSettings
from signalr_bridge.settings.names import PREFIX

API_VERSION = "2024-03-01"
"""The version of the resource type in whose terms a template's authentication is written."""

_ROLE = "SignalR Service Owner"
_INSTANCE = re.compile(r"([a-z0-9-]+)\.(?:service\.signalr\.net|signalr\.azure\.us|signalr\.azure\.cn)")
"""The host of an instance, in the clouds that there are."""
_IN_A_URL = re.compile(r"[A-Za-z0-9._~-]+")
_CLIENT_ID = re.compile(r"[0-9A-Fa-f-]{36}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_GROUP = "RESOURCE_GROUP"
_ANY = "*"

_INTRODUCTION = (
    "Sets up the SignalR instances as the settings need them. Read it, then: signalr-bridge azure | sh -eu",
    "It needs `az login`, and these variables. They hold what is secret, so that nothing of it stands here.",
)


@dataclass(frozen=True, slots=True)
class Route:
    """A template of the upstream of an instance: which hubs it is for, and what the bridge asks of their events.

    ``setting`` names the setting of the code.
    """

    hubs: str
    upstream: UpstreamSettings
    setting: str


class AzureCommands:
    """The lines of a POSIX shell for the instances of some settings. No line holds a secret.

    Args:
        settings: The settings. Where they hold a code, the lines name a variable of the shell.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._variables: dict[str, str] = {}

    def write(self) -> Iterator[str]:
        """The lines: comments, checks of the variables, then the commands of each instance.

        Raises ``SettingsError`` where the settings name no instance.
        """
        instances = _group(self._settings.all_endpoints())
        if not instances:
            raise SettingsError(f"No endpoint: set {self._settings.connection}.")
        written = [line for one in instances for line in self._write_instance(one)]  # it finds the variables
        yield from map(write_comment, _INTRODUCTION)
        for name, meaning in self._variables.items():
            yield f": {quote_variable(name, f'set it to {meaning}')}"
        yield from written

    def _write_instance(self, endpoints: Sequence[EndpointSettings]) -> Iterator[str]:
        address = endpoints[0].connection.endpoint
        names = ", ".join(f"{one.name} ({one.endpoint_type})" for one in endpoints)
        yield ""
        yield write_comment(f"{address}: endpoint {names}")
        host = urlsplit(address).hostname or ""
        if is_loopback_name(host):
            yield write_comment("It is no instance in Azure, so there is nothing to set up.")
            return
        instance = f"--name {self._name(host)} --resource-group {self._use(_GROUP, 'the resource group')}"
        yield f"az signalr update {instance} --service-mode Serverless"
        yield from self._write_upstream(instance, endpoints)
        yield from self._write_cors(instance, address)
        yield from self._write_roles(instance, endpoints)

    def _name(self, host: str) -> str:
        """The resource's name, which the host begins with. That of a domain of one's own is not known."""
        found = _INSTANCE.fullmatch(host)
        if found:
            return quote(found[1])
        variable = f"SIGNALR_NAME_{re.sub(r'[^A-Z0-9]', '_', host.upper())}"
        return self._use(variable, f"the name of the SignalR instance at {host}")

    def _use(self, variable: str, meaning: str) -> str:
        """The variable as a word of a line. It is checked in front of all lines."""
        self._variables[variable] = meaning
        return f'"${variable}"'

    # Upstream

    def _write_upstream(self, instance: str, endpoints: Sequence[EndpointSettings]) -> Iterator[str]:
        routes, unnamed = find_routes(self._settings, endpoints[0].connection.endpoint)
        for hub in unnamed:
            yield write_comment(f"No upstream pattern can name the hub {hub}, because of its comma.")
        if not routes:
            yield write_comment("No hub uses it, so it gets no upstream.")
            return
        templates = " ".join(f"--template {self._write_template(one)}" for one in routes)
        yield f"az signalr upstream update {instance} {templates}"
        tokens = {
            index: one.upstream.entra.audience[0] for index, one in enumerate(routes) if one.upstream.entra.audience
        }
        if tokens:
            yield from self._write_tokens(instance, endpoints, routes, tokens)

    def _write_template(self, route: Route) -> str:
        known = self._settings.public_url
        base = "" if known else self._use("BRIDGE_PUBLIC_URL", "the bridge's address, https://host")
        path = f"{known or ''}{self._settings.root_path}/upstream"
        codes = route.upstream.code
        url = base + (quote(f"{path}?code=") + self._use(*_name_code(codes, route.setting)) if codes else quote(path))
        return f"url-template={url} hub-pattern={quote(route.hubs)} category-pattern='*' event-pattern='*'"

    def _write_tokens(
        self, instance: str, endpoints: Sequence[EndpointSettings], routes: Sequence[Route], tokens: dict[int, str]
    ) -> Iterator[str]:
        """The instance's identity, and for which audience it sends tokens. `az signalr upstream` has no word for it."""
        yield write_comment("The instance calls as a user-assigned identity, whose client id its tokens carry.")
        yield from self._find_identity(endpoints, routes)
        yield f'az signalr identity assign {instance} --identity "${{IDENTITY:?no such identity}}"'
        changes = " ".join(
            quote(f"properties.upstream.templates[{index}].auth={_write_auth(audience)}")
            for index, audience in tokens.items()
        )
        yield (
            f"az resource update {instance} --resource-type Microsoft.SignalRService/SignalR "
            f"--api-version {API_VERSION} --set {changes}"
        )

    def _find_identity(self, endpoints: Sequence[EndpointSettings], routes: Sequence[Route]) -> Iterator[str]:
        apps = {one.upstream_app_id for one in endpoints} - {None} or {
            app for one in routes for app in one.upstream.entra.app_ids
        }
        only = apps.pop() if len(apps) == 1 else None
        if only and _CLIENT_ID.fullmatch(only):
            yield f"IDENTITY=$(az identity list --query \"[?clientId=='{only}'].id\" --output tsv)"
        else:
            meaning = "the resource id of the identity whose client id BRIDGE_UPSTREAM__ENTRA__APP_IDS holds"
            yield f"IDENTITY={self._use('UPSTREAM_IDENTITY_ID', meaning)}"

    # CORS and role

    def _write_cors(self, instance: str, address: str) -> Iterator[str]:
        hubs = _hubs_of(self._settings, address)
        sections = [self._settings.cors, *map(self._settings.cors_of, hubs)]
        origins = list(dict.fromkeys(origin for one in sections for origin in one.origins))
        if not origins:
            yield write_comment("No BRIDGE_CORS__ORIGINS, so CORS stays as it is.")
        elif patterns := [one for one in origins if _ANY in one]:
            yield write_comment(f"CORS stays as it is: an instance takes no patterns, such as {patterns[0]}.")
        else:
            yield f"az signalr cors update {instance} --allowed-origins {' '.join(map(quote, origins))}"

    def _write_roles(self, instance: str, endpoints: Sequence[EndpointSettings]) -> Iterator[str]:
        identities = [one.credential for one in endpoints if one.credential.kind != "access-key"]
        if identities:
            yield f"ID=$(az signalr show {instance} --query id --output tsv)"
        for lines in dict.fromkeys(tuple(self._write_role(one)) for one in identities):
            yield from lines

    def _write_role(self, credential: CredentialSettings) -> Iterator[str]:
        by_object = "--assignee-principal-type ServicePrincipal --assignee-object-id"
        if credential.object_id:
            assignee = f"{by_object} {quote(credential.object_id)}"
        elif credential.resource_id:
            found = f"$(az identity show --ids {quote(credential.resource_id)} --query principalId --output tsv)"
            yield f"PRINCIPAL={found}"
            assignee = f'{by_object} "${{PRINCIPAL:?no such identity}}"'
        elif client := credential.client_id or credential.variables.client_id:
            assignee = f"--assignee {quote(client)}"
        else:
            principal = self._use("BRIDGE_PRINCIPAL_ID", "the object id of the identity that the bridge runs as")
            assignee = f"{by_object} {principal}"
        yield f'az role assignment create --role {quote(_ROLE)} {assignee} --scope "${{ID:?no such instance}}"'


def write_comment(text: str) -> str:
    """A comment of one line. What would end the line, or is not shown, is a question mark."""
    return "# " + "".join(letter if letter.isprintable() else "?" for letter in text)


def quote_variable(name: str, hint: str) -> str:
    """A word with the variable's value. Without one the shell says the hint, and goes no further."""
    return f'"${{{name}:?{re.sub(r"[^A-Za-z0-9 .,:/_-]", "", hint)}}}"'


def find_routes(settings: Settings, address: str) -> tuple[list[Route], list[str]]:
    """The templates of an instance, those of single hubs first, and the hubs that no pattern can name.

    A hub with a code or an Entra section of its own has a template of its own.
    """
    own = _hubs_of(settings, address)
    apart = [hub for hub in own if _proof(settings.upstream_of(hub)) != _proof(settings.upstream)]
    is_common = any(one.connection.endpoint == address for one in settings.endpoints)
    rest = [_ANY] if is_common else [hub for hub in own if hub not in apart and "," not in hub]
    routes = [
        Route(hub, settings.upstream_of(hub), f"{PREFIX}HUBS__{hub.upper()}__UPSTREAM__CODE")
        for hub in apart
        if "," not in hub
    ]
    if rest:
        routes.append(Route(",".join(rest), settings.upstream, f"{PREFIX}UPSTREAM__CODE"))
    return routes, [hub for hub in own if "," in hub and (hub in apart or not is_common)]


def _proof(upstream: UpstreamSettings) -> object:
    return upstream.code, upstream.entra


def _hubs_of(settings: Settings, address: str) -> list[str]:
    """The hubs with settings of their own that use an instance."""
    return [
        hub for hub in settings.hubs if any(one.connection.endpoint == address for one in settings.endpoints_of(hub))
    ]


def _group(endpoints: Sequence[EndpointSettings]) -> list[list[EndpointSettings]]:
    """The endpoints by instance: several may have the same address."""
    found: dict[str, list[EndpointSettings]] = {}
    for one in endpoints:
        found.setdefault(one.connection.endpoint, []).append(one)
    return list(found.values())


def _name_code(codes: Sequence[SecretStr], setting: str) -> tuple[str, str]:
    """The variable for a code, and what to set it to: that of the setting, where this is one code that a URL holds."""
    is_plain = len(codes) == 1 and _IN_A_URL.fullmatch(codes[0].get_secret_value())
    if is_plain and _VARIABLE.fullmatch(setting):
        return setting, "the code, as the setting holds it"
    name = "UPSTREAM_CODE_" + re.sub(r"[^A-Z0-9]", "_", setting.removeprefix(PREFIX).removesuffix("__CODE"))
    return name, f"one of the codes of {setting}, percent-encoded"


def _write_auth(audience: str) -> str:
    return json.dumps({"type": "ManagedIdentity", "managedIdentity": {"resource": audience}}, separators=(",", ":"))
