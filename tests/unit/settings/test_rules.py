"""Every rule and example of ``docs/protocol/functions-bindings.md`` 4.1 to 4.6, and those of our own, by name.

A row is a rule, what was written, and what it means: endpoints as ``name/type/address/credential``, or words that a
error or a warning has in this order. No message of an error may hold a secret: every secret here is a canary.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import EndpointSettings, Level, Review, check_servable, gather, load, review

CANARY = "canary-5b1e"
CONNECTION = "AzureSignalRConnectionString"
NAMED = "Azure__SignalR__Endpoints__"


def string(host: str = "a", more: str = "Version=1.0;") -> str:
    return f"Endpoint=https://{host}.example;AccessKey={CANARY};{more}"


def reviewed(given: Mapping[str, str]) -> Review:
    return review(gather(given, {}))


def shown(one: EndpointSettings) -> str:
    address = one.connection.endpoint.removeprefix("https://").removesuffix(".example")
    return f"{one.name}/{one.endpoint_type}/{address}/{one.credential.describe()}"


def endpoints(given: Mapping[str, str]) -> list[str]:
    return [shown(one) for one in load(gather(given, {})).endpoints]


@dataclass(frozen=True)
class Row:
    rule: str
    given: Mapping[str, str]
    means: str

    def __str__(self) -> str:
        return self.rule


def identity(**keys: str) -> dict[str, str]:
    """An unnamed endpoint by identity."""
    return {f"{CONNECTION}__serviceUri": "https://a.example"} | {f"{CONNECTION}__{key}": keys[key] for key in keys}


KEY = "access key"
UNDERSTOOD = [
    Row("4.1 __ in the environment", {NAMED + "x": string()}, f"x/Primary/a/{KEY}"),
    Row("4.1 : in files", {"Azure:SignalR:Endpoints:x": string()}, f"x/Primary/a/{KEY}"),
    Row("4.1 both at once", {"Azure:SignalR__Endpoints:x__secondary": string(), **{CONNECTION: string("b")}},
        f"default/Primary/b/{KEY} x/Secondary/a/{KEY}"),
    Row("4.1 names ignore case, an endpoint's keeps its spelling", {"AZURE__signalr__endpoints__EastUS": string()},
        f"EastUS/Primary/a/{KEY}"),
    Row("4.1 children in sorted order", {NAMED + "b": string("b"), NAMED + "a": string("a")},
        f"a/Primary/a/{KEY} b/Primary/b/{KEY}"),
    Row("4.2 the default connection string", {CONNECTION: string()}, f"default/Primary/a/{KEY}"),
    Row("4.2 ConnectionStrings takes priority",
        {CONNECTION: string("plain"), f"ConnectionStrings__{CONNECTION}": string("special")},
        f"default/Primary/special/{KEY}"),
    Row("4.2 ConnectionStrings with :", {f"ConnectionStrings:{CONNECTION}": string()}, f"default/Primary/a/{KEY}"),
    Row("4.2 CUSTOMCONNSTR_", {f"CUSTOMCONNSTR_{CONNECTION}": string()}, f"default/Primary/a/{KEY}"),
    Row("4.2 another name, connectionStringSetting", {"BRIDGE_CONNECTION": "Mine", "Mine": string()},
        f"default/Primary/a/{KEY}"),
    Row("4.2 another name among ConnectionStrings",
        {"BRIDGE_CONNECTION": "Mine", "ConnectionStrings__mine": string()}, f"default/Primary/a/{KEY}"),
    Row("4.2 another name is a prefix of identity settings, too",
        {"BRIDGE_CONNECTION": "Mine", "Mine__serviceUri": "https://a.example"}, "default/Primary/a/default"),
    Row("4.3 example eastus",
        {NAMED + "eastus": string("a"), NAMED + "westus__secondary": string("b"),
         NAMED + "uk__serviceUri": "https://c.example", NAMED + "uk__type": "secondary"},
        f"eastus/Primary/a/{KEY} uk/Secondary/c/default westus/Secondary/b/{KEY}"),
    Row("4.3.1 a serviceUri, connection strings in the section are ignored",
        {NAMED + "x__serviceUri": "https://c.example", NAMED + "x": string(), NAMED + "x__secondary": string("b")},
        "x/Primary/c/default"),
    Row("4.3.1 type ignores case", {NAMED + "x__serviceUri": "https://c.example", NAMED + "x__type": "SECONDARY",
                                    CONNECTION: string()}, f"default/Primary/a/{KEY} x/Secondary/c/default"),
    Row("4.3.2 own value, primary and secondary coexist, in that order",
        {NAMED + "x__secondary": string("c"), NAMED + "x__primary": string("b"), NAMED + "x": string("a")},
        f"x/Primary/a/{KEY} x/Primary/b/{KEY} x/Secondary/c/{KEY}"),
    Row("4.3.3 other sub-keys are ignored", {NAMED + "x": string(), NAMED + "x__colour": "red"},
        f"x/Primary/a/{KEY}"),
    Row("4.4 a blank connection string is none", {CONNECTION: " ", f"{CONNECTION}__serviceUri": "https://c.example"},
        "default/Primary/c/default"),
    Row("4.4 the unnamed identity honours type",
        identity(type="Secondary") | {NAMED + "b": string("b")}, f"default/Secondary/a/default b/Primary/b/{KEY}"),
    Row("4.4 unnamed first, then named", {NAMED + "a": string("b"), CONNECTION: string("a")},
        f"default/Primary/a/{KEY} a/Primary/b/{KEY}"),
    Row("4.4 exact duplicates collapse",
        {NAMED + "x": string(), NAMED + "x__primary": string(), NAMED + "x__secondary": string()},
        f"x/Primary/a/{KEY} x/Secondary/a/{KEY}"),
    Row("4.4 Transient with several is no error with us",
        {CONNECTION: string("a"), NAMED + "b": string("b"), "AzureSignalRServiceTransportType": "Transient"},
        f"default/Primary/a/{KEY} b/Primary/b/{KEY}"),
    Row("4.4 the unnamed string wins over its serviceUri",
        {CONNECTION: string(), f"{CONNECTION}__serviceUri": "https://c.example"}, f"default/Primary/a/{KEY}"),
    Row("4.5 keys ignore case, values are trimmed, empty parts are ignored",
        {CONNECTION: f" ENDPOINT = https://a.example ; accesskey = {CANARY} ;; "}, f"default/Primary/a/{KEY}"),
    Row("4.5 the first = splits", {CONNECTION: f"Endpoint=https://a.example;AccessKey={CANARY}=="},
        f"default/Primary/a/{KEY}"),
    Row("4.5 an upper-case host, a trailing slash",
        {CONNECTION: f"Endpoint=https://A.EXAMPLE/;AccessKey={CANARY}"}, f"default/Primary/a/{KEY}"),
    Row("4.5 Version 1.1-preview", {CONNECTION: string(more="Version=1.1-preview")}, f"default/Primary/a/{KEY}"),
    Row("4.5 Port replaces the endpoint's", {CONNECTION: string(more="Port=8080")},
        f"default/Primary/a.example:8080/{KEY}"),
    Row("4.5 an unknown AuthType is an access key", {CONNECTION: string(more="AuthType=magic")},
        f"default/Primary/a/{KEY}"),
    Row("4.5 example: emulator", {CONNECTION: f"Endpoint=http://localhost;Port=8888;AccessKey={CANARY};Version=1.0;"},
        f"default/Primary/http://localhost:8888/{KEY}"),
    Row("4.5 AuthType azure: ids are ignored",
        {CONNECTION: "Endpoint=https://a.example;AuthType=AZURE;ClientId=1;TenantId=2"}, "default/Primary/a/default"),
    Row("4.5 AuthType azure.msi", {CONNECTION: "Endpoint=https://a.example;AuthType=azure.msi;Version=1.0;"},
        "default/Primary/a/managed identity"),
    Row("4.5 AuthType azure.msi with ClientId",
        {CONNECTION: "Endpoint=https://a.example;AuthType=azure.msi;ClientId=1"},
        "default/Primary/a/managed identity client 1"),
    Row("4.5 AuthType azure.app with a secret",
        {CONNECTION: f"Endpoint=https://a.example;AuthType=azure.app;ClientId=1;TenantId=2;ClientSecret={CANARY}"},
        "default/Primary/a/client secret client 1"),
    Row("4.5 AuthType azure.app with ClientCert",
        {CONNECTION: "Endpoint=https://a.example;AuthType=azure.app;ClientId=1;TenantId=2;ClientCert=/c.pem"},
        "default/Primary/a/client certificate client 1"),
    Row("4.5 the docs' ClientCertPath is understood, too",
        {CONNECTION: "Endpoint=https://a.example;AuthType=azure.app;ClientId=1;TenantId=2;ClientCertPath=/c.pem"},
        "default/Primary/a/client certificate client 1"),
    Row("4.5 of secret and certificate the secret counts",
        {CONNECTION: "Endpoint=https://a.example;AuthType=azure.app;ClientId=1;TenantId=2;ClientCert=/c;"
                     f"ClientSecret={CANARY}"}, "default/Primary/a/client secret client 1"),
    Row("4.5 aad is managed identity", {CONNECTION: "Endpoint=https://a.example;AuthType=aad"},
        "default/Primary/a/managed identity"),
    Row("4.5 aad with ClientId alone", {CONNECTION: "Endpoint=https://a.example;AuthType=aad;ClientId=1"},
        "default/Primary/a/managed identity client 1"),
    Row("4.5 aad with both ids is an application",
        {CONNECTION: f"Endpoint=https://a.example;AuthType=aad;ClientId=1;TenantId=2;ClientSecret={CANARY}"},
        "default/Primary/a/client secret client 1"),
    Row("4.6 serviceUri alone", identity(), "default/Primary/a/default"),
    Row("4.6 managedidentity, system-assigned", identity(credential="ManagedIdentity"),
        "default/Primary/a/managed identity"),
    Row("4.6 managedidentity by client id", identity(credential="managedidentity", clientId="1"),
        "default/Primary/a/managed identity client 1"),
    Row("4.6 managedidentity by resource id", identity(credential="managedidentity", managedIdentityResourceId="/r"),
        "default/Primary/a/managed identity resource /r"),
    Row("4.6 managedidentity by object id", identity(credential="managedidentity", managedIdentityObjectId="3"),
        "default/Primary/a/managed identity object 3"),
    Row("4.6 client secret", identity(tenantId="2", clientId="1", clientSecret=CANARY),
        "default/Primary/a/client secret client 1"),
    Row("4.6 client certificate", identity(tenantId="2", clientId="1", clientCertificate="/c.pem"),
        "default/Primary/a/client certificate client 1"),
    Row("4.6 hints for the default credential", identity(tenantId="2", clientId="1", managedIdentityResourceId="/r"),
        "default/Primary/a/default client 1 resource /r"),
    Row("4.6 workload identity",
        identity(credential="workloadidentity", tenantId="2", clientId="1", tokenFilePath="/t"),
        "default/Primary/a/workload identity client 1"),
    Row("4.6 workload identity from the usual names",
        identity(credential="workloadidentity")
        | {"AZURE_TENANT_ID": "2", "AZURE_CLIENT_ID": "1", "AZURE_FEDERATED_TOKEN_FILE": "/t"},
        "default/Primary/a/workload identity client 1"),
]  # fmt: skip


@pytest.mark.parametrize("row", UNDERSTOOD, ids=str)
def test_what_is_understood(row: Row) -> None:
    assert " ".join(endpoints(row.given)) == row.means


ERRORS = [
    Row("4.2 transport is case-sensitive", {"AzureSignalRServiceTransportType": "persistent"},
        "AzureSignalRServiceTransportType write Transient or Persistent"),
    Row("4.2 time-out", {"AzureSignalRHttpClientTimeout": "100"}, "AzureSignalRHttpClientTimeout 00:01:40"),
    Row("4.2 a time-out of zero", {"AzureSignalRHttpClientTimeout": "00:00:00"}, "AzureSignalRHttpClientTimeout"),
    Row("4.2 retries", {"AzureSignalRRetry__MaxRetries": "many"}, "AzureSignalRRetry__MaxRetries 0 to 100"),
    Row("4.2 delay", {"AzureSignalRRetry__Delay": "0.8"}, "AzureSignalRRetry__Delay 00:00:00.8"),
    Row("4.2 longest delay", {"AzureSignalRRetry__MaxDelay": "99:00:00"}, "AzureSignalRRetry__MaxDelay"),
    Row("4.2 mode", {"AzureSignalRRetry__Mode": "linear"}, "AzureSignalRRetry__Mode Fixed or Exponential"),
    Row("4.2 MessagePack", {"Azure__SignalR__HubProtocol__MessagePack__Enabled": "maybe"}, "true or false"),
    Row("4.3.1 type", {NAMED + "x__serviceUri": "https://c.example", NAMED + "x__type": "Third"},
        "Endpoints__x__type Primary or Secondary"),
    Row("4.4 no primary", {NAMED + "x__secondary": string()}, "every endpoint is Secondary make one Primary"),
    Row("4.5 fewer than two parts", {CONNECTION: f"AccessKey={CANARY}"}, f"{CONNECTION} Endpoint="),
    Row("4.5 a duplicate key", {CONNECTION: string(more="accesskey=x")}, f"{CONNECTION} AccessKey part 3 twice"),
    Row("4.5 no endpoint", {CONNECTION: f"AccessKey={CANARY};Version=1.0"}, f"{CONNECTION} Endpoint is missing"),
    Row("4.5 the endpoint is no URL", {CONNECTION: f"Endpoint={CANARY};AccessKey={CANARY}"}, "Endpoint part 1 URL"),
    Row("4.5 the endpoint is ftp", {CONNECTION: f"Endpoint=ftp://a;AccessKey={CANARY}"}, "Endpoint part 1 http"),
    Row("4.5 Version 2.0", {CONNECTION: string(more="Version=2.0")}, "Version part 3 not supported 1.0"),
    Row("4.5 Version 1.x", {CONNECTION: string(more="Version=1.x")}, "Version part 3 not supported"),
    Row("4.5 Port 0", {CONNECTION: string(more="Port=0")}, "Port part 3 1 to 65535"),
    Row("4.5 Port 65536", {CONNECTION: string(more="Port=65536")}, "Port part 3 1 to 65535"),
    Row("4.5 ClientEndpoint", {CONNECTION: string(more=f"ClientEndpoint={CANARY}")}, "ClientEndpoint part 3 URL"),
    Row("4.5 ServerEndpoint", {CONNECTION: string(more=f"ServerEndpoint={CANARY}")}, "ServerEndpoint part 3 URL"),
    Row("4.5 no credential", {CONNECTION: "Endpoint=https://a.example;Version=1.0"}, "AccessKey is missing AuthType"),
    Row("ours: an empty AccessKey is a mistake", {CONNECTION: "Endpoint=https://a.example;AccessKey="},
        "AccessKey part 2 empty"),
    Row("4.5 azure.app without ClientId",
        {CONNECTION: f"Endpoint=https://a.example;AuthType=azure.app;TenantId=2;ClientSecret={CANARY}"},
        "ClientId is missing"),
    Row("4.5 azure.app without TenantId",
        {CONNECTION: f"Endpoint=https://a.example;AuthType=azure.app;ClientId=2;ClientSecret={CANARY}"},
        "TenantId is missing"),
    Row("4.5 azure.app without a secret",
        {CONNECTION: "Endpoint=https://a.example;AuthType=azure.app;ClientId=2;TenantId=1"},
        "ClientSecret or ClientCert is missing"),
    Row("4.6 two ids", identity(credential="managedidentity", clientId="1", managedIdentityObjectId="3"),
        f"{CONNECTION} clientId and managedIdentityObjectId keep one"),
    Row("4.6 three ids", identity(credential="managedidentity", clientId="1", managedIdentityObjectId="3",
                                  managedIdentityResourceId="/r"),
        "clientId and managedIdentityResourceId and managedIdentityObjectId keep one"),
    Row("4.6 an object id without credential", identity(managedIdentityObjectId="3"),
        "managedIdentityObjectId credential=managedidentity"),
    Row("4.6 workload identity without its ids", identity(credential="workloadidentity", tenantId="2"),
        "clientId and tokenFilePath"),
    Row("4.6 other credentials", identity(credential="azurepipelines"),
        f"{CONNECTION}__credential not supported managedidentity or workloadidentity"),
    Row("4.6 a secret without its ids", {NAMED + "x__serviceUri": "https://c.example", NAMED + "x__clientSecret": "s"},
        "x__clientSecret needs tenantId and clientId"),
    Row("4.6 a thumbprint", identity(tenantId="2", clientId="1", clientCertificate="AB" * 20),
        "clientCertificate thumbprint path of a PEM"),
    Row("4.6 the address", {f"{CONNECTION}__serviceUri": CANARY}, "serviceUri https://name.service.signalr.net"),
    Row("4.6 server's address", identity(serverEndpoint=CANARY), "serverEndpoint absolute http"),
    Row("4.6 clients' address", identity(clientEndpoint="ftp://x"), "clientEndpoint absolute http"),
    Row("ours: a named endpoint default", {CONNECTION: string(), NAMED + "Default": string("b")},
        "named endpoint 'default' stands beside rename"),
    Row("ours: a hub's connection without endpoint",
        {CONNECTION: string(), "BRIDGE_HUBS__CHAT__CONNECTION": "Other"}, "Other no endpoint"),
]  # fmt: skip


@pytest.mark.parametrize("row", ERRORS, ids=str)
def test_what_is_an_error_and_what_to_write_instead(row: Row) -> None:
    given = {"BRIDGE_CALLERS__KEYS": CANARY * 3} | dict(row.given)
    with pytest.raises(SettingsError) as caught:
        load(gather(given, {}))
    words = ".*".join(re.escape(word) for word in row.means.split())
    assert re.search(words, caught.value.detail, re.DOTALL), caught.value.detail
    assert CANARY not in repr(caught.value) + repr(reviewed(given))


WARNINGS = [
    Row("ours: Persistent is served over REST", {"AzureSignalRServiceTransportType": "Persistent"},
        "AzureSignalRServiceTransportType served over REST"),
    Row("4.2 numeric 1", {"AzureSignalRServiceTransportType": "1"}, "served over REST"),
    Row("4.4 the same URL twice", {NAMED + "x__secondary": string(), NAMED + "y": string()},
        "default (Primary), x (Secondary), y (Primary) one instance called as default (Primary) keys of all"),
    Row("4.6 string and serviceUri, unnamed", {f"{CONNECTION}__serviceUri": "https://c.example"},
        f"{CONNECTION} the connection string is used"),
    Row("4.6 string and serviceUri, named", {NAMED + "x": string("b"), NAMED + "x__serviceUri": "https://c.example"},
        "Azure__SignalR__Endpoints__x its serviceUri is used"),
    Row("4.6 a token file without workload identity",
        {NAMED + "x__serviceUri": "https://c.example", NAMED + "x__tokenFilePath": "/t"}, "tokenFilePath not used"),
    Row("4.2 NewtonsoftJson is not used", {"Azure__SignalR__HubProtocol": "NewtonsoftJson"},
        "HubProtocol not used JSON as callers wrote"),
    Row("4.2 the pre-release spelling of MessagePack", {"Azure:SignalR:HubProtocol:MessagePack": "enabled"},
        "HubProtocol:MessagePack Azure__SignalR__HubProtocol__MessagePack__Enabled=true"),
    Row("a misspelt Azure name", {"Azure__SignalR__Endpoint__x": string()},
        "Azure__SignalR__Endpoint__x not used Azure__SignalR__Endpoints__x"),
    Row("a misspelt key of an endpoint", {NAMED + "x__serviceUrl": "https://c.example"},
        "x__serviceUrl not used Azure__SignalR__Endpoints__x__serviceUri"),
    Row("the SDK's name", {"Azure__SignalR__ConnectionString": string()},
        f"Azure__SignalR__ConnectionString not used other endpoints {CONNECTION}"),
    Row("a key of an identity without serviceUri", {NAMED + "x__clientId": "1"}, "x__clientId serviceUri"),
    Row("the loser among connection strings", {f"ConnectionStrings__{CONNECTION}": string()},
        f"{CONNECTION} not used ConnectionStrings__{CONNECTION} takes priority"),
]  # fmt: skip


@pytest.mark.parametrize("row", WARNINGS, ids=str)
def test_what_is_worth_a_warning(row: Row) -> None:
    found = reviewed({CONNECTION: string(), **row.given})
    warnings = [str(one) for one in found.diagnostics if one.level is Level.WARNING]
    words = ".*".join(re.escape(word) for word in row.means.split())
    assert any(re.search(words, one) for one in warnings), warnings
    assert found.settings is not None, "a warning stops nothing"
    assert CANARY not in repr(found)


def test_what_is_right_needs_no_word() -> None:
    given = {CONNECTION: string(), NAMED + "x__secondary": string("b"), NAMED + "uk__serviceUri": "https://c.example"}
    assert reviewed(given).diagnostics == ()


def test_4_4_nothing_configured_at_all() -> None:
    with pytest.raises(SettingsError, match=f"{CONNECTION}: there is no endpoint: set it"):
        check_servable(load(gather({"BRIDGE_CALLERS__KEYS": "0123456789abcdef"}, {})))


def test_4_5_order_of_checks() -> None:
    """Part count, duplicates, endpoint, version, port, ClientEndpoint, ServerEndpoint, then the credential."""
    worst = "Endpoint=x;Version=9;Port=0;ClientEndpoint=x;ServerEndpoint=x;AccessKey=;"
    mended = [
        "Endpoint=https://a.example",
        "Version=1.0",
        "Port=1",
        "ClientEndpoint=https://b",
        "ServerEndpoint=https://c",
    ]
    order = ["Endpoint", "Version", "Port", "ClientEndpoint", "ServerEndpoint", "AccessKey"]
    for mends, key in enumerate(order):
        parts = [*mended[:mends], *worst.split(";")[mends:]]
        with pytest.raises(SettingsError, match=rf"{CONNECTION} \(environment\): {key} "):
            load(gather({CONNECTION: ";".join(parts)}, {}))


def test_4_5_the_addresses_of_a_gateway() -> None:
    text = string(more="Port=8080;ClientEndpoint=https://gate.example/clients/;ServerEndpoint=http://inside:81/x/")
    connection = load(gather({CONNECTION: text}, {})).endpoints[0].connection
    assert connection.endpoint == "https://a.example:8080"
    assert connection.client_endpoint == "https://gate.example/clients", "Port does not apply to it"
    assert connection.server_endpoint == "http://inside:81/x"


def test_4_6_everything_of_an_identity() -> None:
    given = identity(
        tenantId="2",
        clientId="1",
        clientSecret=CANARY,
        additionallyAllowedTenants=" x ; y;",
        serverEndpoint="https://inside.example/",
        clientEndpoint="https://gate.example",
    )
    (one,) = load(gather(given, {})).endpoints
    found = one.credential
    assert (found.tenant_id, found.client_id, found.allowed_tenants) == ("2", "1", ("x", "y"))
    assert found.client_secret is not None
    assert found.client_secret.get_secret_value() == CANARY
    assert (one.connection.server_endpoint, one.connection.client_endpoint) == (
        "https://inside.example",
        "https://gate.example",
    )
    assert one.connection.access_key is None
    assert CANARY not in repr(one)
