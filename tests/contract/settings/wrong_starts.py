"""What people do wrong at the start, and the line that each mistake gets. Every line is written by hand.

``python -m tests.contract.settings.wrong_starts`` prints the table of ``docs/settings.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

KEY = "a-key-of-a-backend"
STRING = "Endpoint=https://contoso.service.signalr.net;AccessKey=c2VjcmV0LWtleS1vZi10aGUtdGVzdHM=;Version=1.0;"
EMULATOR = "Endpoint=http://localhost;Port=8888;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TENANT = "11111111-2222-3333-4444-555555555555"
GOOD: Mapping[str, str] = {"AzureSignalRConnectionString": STRING, "BRIDGE_CALLERS__KEYS": KEY}
ERROR, UNKNOWN, WARNING = "mistake", "unknown", "warning"

CONNECTION = "AzureSignalRConnectionString"
HERE = f"{CONNECTION} (environment)"
IDENTITY = f"{CONNECTION}__serviceUri"
QUOTES = "stands in quotes, which are kept and would be a part of it: write it without them."
WHOLE = "copy all of it from the instance's page Keys."
SECRETS = (
    "a secret is whsec_ and the base64 of 24 to 64 bytes: "
    "write what printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\" prints."
)
ORIGIN = (
    "an origin is scheme://host[:port], without a path or slash at its end, and there is no '*': "
    "write such as https://app.contoso.com or https://*.contoso.com."
)
NETWORK = "write networks, such as 10.0.0.0/8 with zeros behind the mask, or addresses, no names."
HUB = "hub name is 1 to 128 letters, digits or any of _`,.[] and begins with a letter."
PLACEHOLDER = "a placeholder is {query.<name>}, {headers.<name>} or {claims.<name>}: write one of these."
WHOLE_SEGMENTS = (
    "{hub} and {event} stand only as whole path segments, and no other name: "
    "write such as http://backend:9000/signalr/{hub}/{event}."
)


@dataclass(frozen=True)
class WrongStart:
    """One mistake. ``given`` is laid over ``GOOD``; a file named by ``file`` holds ``text``."""

    what: str
    line: str
    given: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    text: str | bytes = ""
    level: str = ERROR
    also: int = 0
    """How many further lines follow from it."""


def of(**given: str) -> dict[str, str]:
    return given


def forward(**more: str) -> dict[str, str]:
    """A rule that is well but for what is laid over it."""
    given = {"URL": "http://127.0.0.1:9000/signalr", "SECRETS": SECRET} | more
    return {f"BRIDGE_FORWARD__ORDERS__{name}": text for name, text in given.items()}


def toml(what: str, line: str, text: str | bytes, level: str = ERROR) -> WrongStart:
    return WrongStart(what, line, {}, "bridge.toml", text, level)


CREDENTIALS = [
    WrongStart("quotes kept around a connection string", f"{HERE}: {QUOTES}",
        of(AzureSignalRConnectionString=f'"{STRING}"')),
    WrongStart("quotes kept around a key", f"BRIDGE_CALLERS__KEYS (environment): {QUOTES}",
        of(BRIDGE_CALLERS__KEYS=f"'{KEY}'")),
    WrongStart("quotes around a part of a connection string",
        f"{HERE}: AccessKey (part 2) stands in quotes: write it without them.",
        of(AzureSignalRConnectionString=STRING.replace("c2V", '"c2V').replace("M=;", 'M=";'))),
    WrongStart("a single `_`", "BRIDGE_CALLERS_KEYS (environment): means nothing; did you mean BRIDGE_CALLERS__KEYS?",
        of(BRIDGE_CALLERS_KEYS=KEY, BRIDGE_CALLERS__KEYS=""), level=UNKNOWN, also=1),
    WrongStart("no key of a caller",
        "BRIDGE_CALLERS__KEYS (environment): nobody could call: set it to one or more keys of at least 16 characters, "
        "or BRIDGE_CALLERS__OIDC__* for tokens.", of(BRIDGE_CALLERS__KEYS="")),
    WrongStart("a connection string without AccessKey",
        f"{HERE}: AccessKey is missing, and AuthType is not azure, azure.msi, azure.app or aad: "
        "copy all of the string from the instance's page Keys.",
        of(AzureSignalRConnectionString="Endpoint=https://contoso.service.signalr.net;Version=1.0;")),
    WrongStart("an Endpoint without https://",
        f"{HERE}: Endpoint (part 1) is not an absolute http or https URL: "
        "write such as https://name.service.signalr.net.",
        of(AzureSignalRConnectionString=STRING.replace("https://", ""))),
    WrongStart("an Endpoint with a path",
        f"{HERE}: Endpoint has a path, which is not used: "
        "write the address alone, as https://name.service.signalr.net.",
        of(AzureSignalRConnectionString=STRING.replace(".net;", ".net/client;")), level=WARNING),
    WrongStart("a connection string pasted twice",
        f"{HERE}: Endpoint (part 4) stands there twice: write one connection string, each part once.",
        of(AzureSignalRConnectionString=STRING * 2)),
    WrongStart("a connection string that is cut off",
        f"{HERE}: A connection string has at least Endpoint=... and AccessKey=... with ';' between: "
        + WHOLE, of(AzureSignalRConnectionString=STRING[:40])),
    WrongStart("a part that means nothing",
        f"{HERE}: Part 4 means nothing: remove it, or write one of Endpoint, AccessKey, Version, Port, "
        "ClientEndpoint, ServerEndpoint, AuthType, ClientId, TenantId, ClientSecret, ClientCert, ClientCertPath.",
        of(AzureSignalRConnectionString=f"{STRING}ApplicationName=chat;")),
    WrongStart("a reference to a host that is not Key Vault's",
        f"{HERE}: refers to a host that is not Key Vault's own: write one such as <vault>.vault.azure.net.",
        of(AzureSignalRConnectionString="@Microsoft.KeyVault(SecretUri=https://keys.contoso.com/secrets/signalr)")),
    WrongStart("a reference without the secret's name",
        f"{HERE}: refers to no secret: write @Microsoft.KeyVault(SecretUri=https://<vault>.vault.azure.net/secrets/"
        "<name>) or @Microsoft.KeyVault(VaultName=<vault>;SecretName=<name>).",
        of(AzureSignalRConnectionString="@Microsoft.KeyVault(VaultName=contoso)")),
    WrongStart("a single `_` with `BRIDGE_STRICT=true`",
        "BRIDGE_DEFAULTHUB (environment): means nothing; did you mean BRIDGE_DEFAULT_HUB?",
        of(BRIDGE_DEFAULTHUB="chat", BRIDGE_STRICT="true")),
    WrongStart("a blank connection string",
        f"{HERE}: there is no endpoint: set it to the connection string of your SignalR instance, "
        "or Azure__SignalR__Endpoints__<name> for each of several.", of(AzureSignalRConnectionString=" ")),
    WrongStart("the emulator's key in `serve`",
        f"{HERE}: has the emulator's access key, which is public and would let anybody sign "
        "upstream calls: write your instance's own, or set BRIDGE_ALLOW_EMULATOR_KEY=true if this is no production.",
        of(AzureSignalRConnectionString=EMULATOR)),
    WrongStart("a key of 15 characters",
        "BRIDGE_CALLERS__KEYS (environment): entry 1: a key has at least 16 characters: write a longer one.",
        of(BRIDGE_CALLERS__KEYS="fifteen-letters")),
    WrongStart("the hash of an empty text for that of a key",
        "BRIDGE_CALLERS__KEYS (environment): entry 1: the sha256 is that of an empty text, which everybody knows: "
        "write that of a key.",
        of(BRIDGE_CALLERS__KEYS='[{"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]')),
    WrongStart("a list of keys that is no JSON",
        'BRIDGE_CALLERS__KEYS (environment): begins with [ but is no JSON list: write ["one", "two"].',
        of(BRIDGE_CALLERS__KEYS=f"['{KEY}']")),
    WrongStart("one object where a list belongs",
        "BRIDGE_CALLERS__KEYS (environment): begins with { and is no JSON list: put it in [ ].",
        of(BRIDGE_CALLERS__KEYS=f'{{"key": "{KEY}"}}')),
    WrongStart("a right that does not exist",
        "BRIDGE_CALLERS__KEYS (environment): entry 2: "
        "write negotiate, send, groups, connections, read, functions or functions-admin.",
        of(BRIDGE_CALLERS__KEYS=f'["{KEY}", {{"key": "{KEY}-2", "rights": ["publish"]}}]')),
    WrongStart("both a connection string and a serviceUri",
        f"{HERE}: the connection string is used, and what stands beside it is not: "
        "remove one of the two.", {IDENTITY: "https://contoso.service.signalr.net"}, level=WARNING),
    WrongStart("two ids of one managed identity",
        "Azure__SignalR__Endpoints__uk (environment): names its managed identity by clientId and "
        "managedIdentityResourceId: keep one of them.",
        of(Azure__SignalR__Endpoints__uk__serviceUri="https://uk.service.signalr.net",
            Azure__SignalR__Endpoints__uk__credential="managedidentity", Azure__SignalR__Endpoints__uk__clientId="1",
            Azure__SignalR__Endpoints__uk__managedIdentityResourceId="2")),
    WrongStart("a serviceUri without https://",
        "Azure__SignalR__Endpoints__uk__serviceUri (environment): write the instance's address, such as "
        "https://name.service.signalr.net.", of(Azure__SignalR__Endpoints__uk__serviceUri="uk.service.signalr.net")),
    WrongStart("an endpoint `default` beside the unnamed one",
        "Azure__SignalR__Endpoints__default (environment): a named endpoint 'default' stands beside "
        f"{CONNECTION}, which has that name: rename the named one.",
        of(Azure__SignalR__Endpoints__default=STRING.replace("contoso", "other"))),
    WrongStart("no primary endpoint",
        "Azure__SignalR__Endpoints (environment): every endpoint is Secondary: make one Primary (<name>__primary, or "
        f"<name>__type=Primary), or set {CONNECTION}.",
        of(AzureSignalRConnectionString="", Azure__SignalR__Endpoints__uk__secondary=STRING)),
]  # fmt: skip

ACCESS = [
    WrongStart("a JWT rule without issuer",
        "BRIDGE_NEGOTIATE__JWT (environment): entry 1: 'issuer' is missing: add it.",
        of(BRIDGE_NEGOTIATE__JWT='[{"audience": "chat"}]')),
    WrongStart("a JWT rule without audience",
        "BRIDGE_NEGOTIATE__JWT (environment): entry 1: 'audience' is missing: add it.",
        of(BRIDGE_NEGOTIATE__JWT='[{"issuer": "https://login.example"}]')),
    WrongStart("an issuer over plain http",
        "BRIDGE_NEGOTIATE__JWT (environment): entry 1: an issuer is an address that begins with https://, "
        "without query: write it as in the token's `iss`.",
        of(BRIDGE_NEGOTIATE__JWT='[{"issuer": "http://login.example", "audience": "chat"}]')),
    WrongStart("a member of a JWT rule that is misspelt",
        "BRIDGE_NEGOTIATE__JWT (environment): entry 1: a name in it means nothing: "
        "write issuer, audience, user_claim or required.",
        of(BRIDGE_NEGOTIATE__JWT='[{"issuer": "https://login.example", "audience": "chat", "userClaim": "oid"}]')),
    WrongStart("a template over what clients write",
        "BRIDGE_NEGOTIATE__USER_ID (environment): reads what clients can write: "
        "set BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT=true to allow it.", of(BRIDGE_NEGOTIATE__USER_ID="{query.user}")),
    WrongStart("a placeholder that is not closed", f"BRIDGE_NEGOTIATE__USER_ID (environment): {PLACEHOLDER}",
        of(BRIDGE_NEGOTIATE__USER_ID="{claims.sub")),
    WrongStart("Entra set in part",
        "BRIDGE_UPSTREAM__ENTRA__TENANT (environment): does not stand alone: set BRIDGE_UPSTREAM__ENTRA__AUDIENCE and "
        "BRIDGE_UPSTREAM__ENTRA__APP_IDS, too, or none of them.", of(BRIDGE_UPSTREAM__ENTRA__TENANT=TENANT)),
    WrongStart("a tenant's name instead of its id",
        "BRIDGE_UPSTREAM__ENTRA__TENANT (environment): a tenant is given by its id: "
        "write it as 00000000-0000-0000-0000-000000000000, no name.",
        of(BRIDGE_UPSTREAM__ENTRA__TENANT="contoso.com", BRIDGE_UPSTREAM__ENTRA__AUDIENCE="a",
            BRIDGE_UPSTREAM__ENTRA__APP_IDS="*")),
    WrongStart("callers' tokens set in part",
        "BRIDGE_CALLERS__OIDC__ISSUER (environment): does not stand alone: set BRIDGE_CALLERS__OIDC__AUDIENCE and "
        "BRIDGE_CALLERS__OIDC__ROLES, too, or none of them.", of(BRIDGE_CALLERS__OIDC__ISSUER="https://login.example")),
    WrongStart("an origin with a slash at its end", f"BRIDGE_CORS__ORIGINS (environment): {ORIGIN}",
        of(BRIDGE_CORS__ORIGINS="https://app.contoso.com/")),
    WrongStart("every origin", f"BRIDGE_CORS__ORIGINS (environment): {ORIGIN}", of(BRIDGE_CORS__ORIGINS="*")),
    WrongStart("a proxy's name for its network", f"BRIDGE_TRUSTED_PROXIES (environment): {NETWORK}",
        of(BRIDGE_TRUSTED_PROXIES="traefik")),
    WrongStart("a host's address with a mask", f"BRIDGE_TRUSTED_PROXIES (environment): {NETWORK}",
        of(BRIDGE_TRUSTED_PROXIES="10.1.2.3/8")),
    WrongStart("a hub with a hyphen", f"BRIDGE_NEGOTIATE__HUBS (environment): a {HUB}",
        of(BRIDGE_NEGOTIATE__HUBS="my-chat")),
    WrongStart("a default hub with a slash", f"BRIDGE_DEFAULT_HUB (environment): a {HUB}",
        of(BRIDGE_DEFAULT_HUB="/chat")),
    WrongStart("anonymous callers without a listener of their own",
        "BRIDGE_CALLERS__ANONYMOUS (environment): needs a listener of its own on loopback: "
        "set BRIDGE_CALLERS__LISTEN=127.0.0.1:8081.", of(BRIDGE_CALLERS__KEYS="", BRIDGE_CALLERS__ANONYMOUS="true")),
]  # fmt: skip

ADDRESSES = [
    WrongStart("an IPv6 address without brackets",
        "BRIDGE_CALLERS__LISTEN (environment): an IPv6 address stands in brackets: write such as [::1]:8081.",
        of(BRIDGE_CALLERS__LISTEN="::1:8081")),
    WrongStart("an IPv6 address with brackets",
        "BRIDGE_HOST (environment): an IPv6 address stands without brackets here: write such as ::1.",
        of(BRIDGE_HOST="[::1]")),
    WrongStart("a URL for the host",
        "BRIDGE_HOST (environment): write an address alone, such as 0.0.0.0, without http:// and without a port.",
        of(BRIDGE_HOST="http://0.0.0.0:8080")),
    WrongStart("a port without its host",
        "BRIDGE_CALLERS__LISTEN (environment): an address to listen on is host:port: write such as 127.0.0.1:8081.",
        of(BRIDGE_CALLERS__LISTEN="8081")),
    WrongStart("a port that is no number",
        "BRIDGE_PORT (environment): write a whole number alone, such as 8080, without a unit.", of(BRIDGE_PORT="http")),
    WrongStart("a port that does not exist", "BRIDGE_PORT (environment): write 65535 or less.",
        of(BRIDGE_PORT="80800")),
    WrongStart("one port for two listeners",
        "BRIDGE_CALLERS__LISTEN (environment): is for a listener of its own: give it another port than BRIDGE_PORT.",
        of(BRIDGE_CALLERS__LISTEN="127.0.0.1:8099", BRIDGE_PORT="8099")),
]  # fmt: skip

VALUES = [
    WrongStart("a switch that is misspelt", "BRIDGE_DOCS (environment): write true or false.", of(BRIDGE_DOCS="ture")),
    WrongStart("a number with its unit",
        "BRIDGE_LIMITS__DEADLINE_SECONDS (environment): write a number alone, such as 10, without a unit.",
        of(BRIDGE_LIMITS__DEADLINE_SECONDS="10s")),
    WrongStart("a log level that is misspelt", "BRIDGE_LOG_LEVEL (environment): write debug, info, warning or "
        "error, or levels by logger: info,access=warning.",
        of(BRIDGE_LOG_LEVEL="warn")),
    WrongStart("a logger that does not exist", "BRIDGE_LOG_LEVEL (environment): names a logger that does not "
        "exist: write one of access, asgi, audit, callers, credentials, emulator, endpoints, functions, log, "
        "negotiate, sends, server, settings, telemetry, tokens, upstream, web.",
        of(BRIDGE_LOG_LEVEL="info,acess=warning")),
    WrongStart("a prefix with a slash at its end",
        "BRIDGE_ROOT_PATH (environment): write a path such as /realtime, with a slash in front and none at its end.",
        of(BRIDGE_ROOT_PATH="/realtime/")),
    WrongStart("an endpoint that is misspelt",
        "BRIDGE_ENDPOINTS__DEFALT (environment): there is no endpoint of this name; did you mean DEFAULT?",
        of(BRIDGE_ENDPOINTS__DEFALT__WEIGHT="1")),
    WrongStart("a connection that is nowhere",
        "Elsewhere: a hub's CONNECTION names it, but there is no endpoint: set it, or write another name.",
        of(BRIDGE_HUBS__CHAT__CONNECTION="Elsewhere")),
    WrongStart("a connection string in place of its name",
        "BRIDGE_CONNECTION (environment): takes the name of a connection: "
        "write the connection string itself as AzureSignalRConnectionString.",
        of(BRIDGE_CONNECTION=STRING)),
    WrongStart("a connection string in place of a hub's connection",
        "BRIDGE_HUBS__CHAT__CONNECTION (environment): takes the name of a connection: "
        "write the connection string itself as AzureSignalRConnectionString.",
        of(BRIDGE_HUBS__CHAT__CONNECTION=STRING)),
    WrongStart("a folder of secrets that is not mounted",
        "BRIDGE_SECRETS_DIR (environment): the folder 'nowhere' cannot be read (no such file or directory): "
        "write the path of a mounted folder.", of(BRIDGE_SECRETS_DIR="/nowhere")),
]  # fmt: skip

EVENTS = [
    WrongStart("a module without its attribute",
        "BRIDGE_HANDLERS (environment): The handler 'my_chat' is not written as module:attribute, "
        "such as my_chat:chat.",
        of(BRIDGE_HANDLERS="my_chat")),
    WrongStart("a module that is not there",
        "BRIDGE_HANDLERS (environment): The module 'my_chat' of a handler cannot be imported (ModuleNotFoundError: "
        "No module named 'my_chat'): is it in the current folder or installed, and does it run on its own?",
        of(BRIDGE_HANDLERS="my_chat:chat")),
    WrongStart("an attribute that is not there",
        "BRIDGE_HANDLERS (environment): The handler 'json:chat' is not there: 'json' has no 'chat'. "
        "Name one of its hubs.", of(BRIDGE_HANDLERS="json:chat")),
    WrongStart("forward without a secret",
        "BRIDGE_FORWARD__ORDERS__SECRETS (environment): has no secrets, so that a backend could not tell our calls "
        "from others: write a secret (whsec_...), or unsigned = true.", forward(SECRETS="")),
    WrongStart("a secret of 3 bytes", f"BRIDGE_FORWARD__ORDERS__SECRETS (environment): {SECRETS}",
        forward(SECRETS="whsec_QUJD")),
    WrongStart("a secret without whsec_", f"BRIDGE_FORWARD__ORDERS__SECRETS (environment): {SECRETS}",
        forward(SECRETS=SECRET.removeprefix("whsec_"))),
    WrongStart("a secret that is no base64", f"BRIDGE_FORWARD__ORDERS__SECRETS (environment): {SECRETS}",
        forward(SECRETS="whsec_this is a pass phrase, and a long one")),
    WrongStart("a backend's URL without its host",
        "BRIDGE_FORWARD__ORDERS__URL (environment): is no http or https URL in plain, escaped characters: "
        "write such as http://backend:9000/signalr.", forward(URL="/signalr")),
    WrongStart("a placeholder that does not exist", f"BRIDGE_FORWARD__ORDERS__URL (environment): {WHOLE_SEGMENTS}",
        forward(URL="http://backend/{hup}")),
    WrongStart("a placeholder inside a segment", f"BRIDGE_FORWARD__ORDERS__URL (environment): {WHOLE_SEGMENTS}",
        forward(URL="http://backend/hub-{hub}")),
    WrongStart("a rule without its URL",
        "BRIDGE_FORWARD__ORDERS__URL (environment): is missing: set it "
        "(where to post; {hub} and {event} stand as whole path segments).", of(BRIDGE_FORWARD__ORDERS__SECRETS=SECRET)),
    WrongStart("an event that is misspelt",
        "BRIDGE_FORWARD__ORDERS__EVENT (environment): this event is never met: "
        "write connected or disconnected for connections, or a message's name.",
        forward(CATEGORY="connections", EVENT="conected")),
    WrongStart("two handlers for one event",
        "BRIDGE_FORWARD__OTHERS (environment): Two handlers answer the same messages (hub *, event *): forward.orders, "
        "forward.others. Remove one of them, or give it another event.",
        forward() | {name.replace("ORDERS", "OTHERS"): text for name, text in forward().items()}),
]  # fmt: skip

TOML = "BRIDGE_SETTINGS_FILE (bridge.toml, line {}): is not well-formed TOML: {}."
JSON = "BRIDGE_SETTINGS_FILE (local.settings.json, line {}): is not well-formed JSON: {}."
FILES = [
    WrongStart("a settings file that is not there",
        "BRIDGE_SETTINGS_FILE (environment): the file 'bridge.tml' cannot be read (no such file or directory): "
        "write another path.", of(BRIDGE_SETTINGS_FILE="bridge.tml")),
    WrongStart("a folder where the file should be mounted",
        "BRIDGE_SETTINGS_FILE (environment): the file 'tests' cannot be read (is a directory): write another path.",
        of(BRIDGE_SETTINGS_FILE="/proc/self/cwd/tests")),
    WrongStart("a device where the file should be mounted",
        "BRIDGE_SETTINGS_FILE (environment): the file 'zero' cannot be read (it is a pipe or a device): "
        "write another path.", of(BRIDGE_SETTINGS_FILE="/dev/zero")),
    toml("a settings file of more than a megabyte",
        "BRIDGE_SETTINGS_FILE (environment): the file 'bridge.toml' cannot be read (it has more than 1048576 bytes): "
        "write another path.", "#" * 1_048_577),
    toml("a settings file that is empty",
        "BRIDGE_SETTINGS_FILE (environment): no setting stands in the file 'bridge.toml': write some, or another path.",
        "# later\n", level=WARNING),
    toml("a file in UTF-16", "BRIDGE_SETTINGS_FILE (bridge.toml): the file cannot be read as UTF-16: save it as UTF-8.",
        "docs = true\n".encode("utf-16")),
    toml("a file in another encoding",
        "BRIDGE_SETTINGS_FILE (bridge.toml, line 2): the file cannot be read, because this is not UTF-8: "
        "save it as UTF-8.", "# ok\n# Grüße\n".encode("latin-1")),
    toml("broken TOML: a quote that is not closed",
        TOML.format(3, "a text is not closed: write the second quote on the same line"),
        'docs = true\n[negotiate]\nuser_id = "{claims.sub}\nanonymous = true\n'),
    toml("broken TOML: a Windows path",
        TOML.format(1, "a backslash in \"...\" begins an escape: write the text in '...', or each backslash twice"),
        'secrets_dir = "C:\\secrets"\n'),
    toml("broken TOML: a table's name that is not closed",
        TOML.format(2, "a table's name is not closed: write [name] on a line of its own"),
        "docs = true\n[negotiate\nanonymous = true\n"),
    toml("broken TOML: a table that stands twice",
        TOML.format(4, "this table stands here for the second time: put its keys together under one [table]"),
        "[negotiate]\nanonymous = true\n[limits]\n[negotiate]\n"),
    toml("broken TOML: a text without quotes",
        TOML.format(1, 'this is no value: write a text in quotes ("text"), a number, or true or false'),
        "host = localhost\n"),
    toml("broken TOML: a list that is not closed",
        TOML.format(3, "a list is not closed: write ] behind its last value"),
        'handlers = [\n  "my_chat:chat",\ndocs = true\n'),
    toml("broken TOML: a colon", TOML.format(2, 'write name = "value"'), "docs = true\nhost: localhost\n"),
    toml("a table that is misspelt",
        "BRIDGE_negotiat:anonymous (bridge.toml, line 3): means nothing; did you mean BRIDGE_NEGOTIATE__ANONYMOUS?",
        "docs = true\n[negotiat]\nanonymous = true\n", level=UNKNOWN),
    toml("a list where a table with a name belongs",
        "BRIDGE_forward (bridge.toml, line 1): is no list: write a table with a name for each, [forward.<name>].",
        f'[[forward]]\nurl = "http://backend"\nsecrets = ["{SECRET}"]\n', level=UNKNOWN),
    toml("the second of two rules in a file",
        "BRIDGE_NEGOTIATE__JWT (bridge.toml, line 4): entry 2: 'issuer' is missing: add it.",
        '[[negotiate.jwt]]\nissuer = "https://login.example"\naudience = "chat"\n'
        '[[negotiate.jwt]]\naudience = "chat"\n'),
    toml("a wrong value in a file", "BRIDGE_UPSTREAM__UNHANDLED (bridge.toml, line 4): write 404 or 200.",
        "docs = true\n# what nobody handles\n[upstream]\nunhandled = 500\n"),
    toml("a secret of 3 bytes in a file", f"BRIDGE_FORWARD__ORDERS__SECRETS (bridge.toml, line 3): {SECRETS}",
        '[forward.orders]\nurl = "http://127.0.0.1:9000/signalr"\nsecrets = ["whsec_QUJD"]\n'),
    WrongStart("broken JSON: a comma that is missing", JSON.format("4, column 5", "write a comma in front of this"),
        {}, "local.settings.json",
        '{\n  "Values": {\n    "BRIDGE_DOCS": "true"\n    "BRIDGE_HUBS_ONLY": "true"\n  }\n}\n'),
    WrongStart("settings outside of Values",
        "BRIDGE_SETTINGS_FILE (local.settings.json): is no local.settings.json: "
        'write the settings as {"Values": {...}}.', {}, "local.settings.json", '{"BRIDGE_DOCS": "true"}\n'),
    WrongStart("a single `_` in a local.settings.json",
        "BRIDGE_DEFAULTHUB (local.settings.json, line 5): means nothing; did you mean BRIDGE_DEFAULT_HUB?",
        {}, "local.settings.json",
        '{\n  // of the function app\n  "Values": {\n    "FUNCTIONS_WORKER_RUNTIME": "node",\n'
        '    "BRIDGE_DEFAULTHUB": "chat",\n  }\n}\n', level=UNKNOWN),
]  # fmt: skip

SEVERAL: Mapping[str, tuple[Mapping[str, str], list[str]]] = {
    "a value, a rule's URL and a template": (
        of(BRIDGE_LIMITS__IN_FLIGHT="0", BRIDGE_NEGOTIATE__USER_ID="{claims.sub") | forward(URL="/signalr"),
        [
            "BRIDGE_FORWARD__ORDERS__URL (environment): is no http or https URL in plain, escaped characters: "
            "write such as http://backend:9000/signalr.",
            "BRIDGE_LIMITS__IN_FLIGHT (environment): write 1 or more.",
            f"BRIDGE_NEGOTIATE__USER_ID (environment): {PLACEHOLDER}",
        ],
    ),
    "no caller, groups for claims that could be forged, and all of one rule": (
        of(BRIDGE_CALLERS__KEYS="", BRIDGE_NEGOTIATE__LOSSLESS_CLAIMS="false",
            BRIDGE_HUBS__CHAT__JOIN='{"claim": "role", "group": "{value}"}', BRIDGE_HUBS__NEWS__NEGOTIATE__USER_ID="}")
        | forward(URL="http://backend/{hup}", SECRETS="whsec_QUJD", FORMAT="functions", CATEGORY="connections",
            EVENT="conected", HUB="my-chat", TIMEOUT_SECONDS="10s"),
        [
            "BRIDGE_CALLERS__KEYS (environment): nobody could call: set it to one or more keys of at least 16 "
            "characters, or BRIDGE_CALLERS__OIDC__* for tokens.",
            "BRIDGE_FORWARD__ORDERS__EVENT (environment): this event is never met: "
            "write connected or disconnected for connections, or a message's name.",
            "BRIDGE_FORWARD__ORDERS__FUNCTION (environment): is missing: write the name of the function that the "
            "custom handler is to run.",
            f"BRIDGE_FORWARD__ORDERS__HUB (environment): A {HUB}",
            f"BRIDGE_FORWARD__ORDERS__SECRETS (environment): {SECRETS}",
            "BRIDGE_FORWARD__ORDERS__TIMEOUT_SECONDS (environment): write a number alone, such as 10, without a unit.",
            f"BRIDGE_FORWARD__ORDERS__URL (environment): {WHOLE_SEGMENTS}",
            "BRIDGE_HUBS__CHAT__JOIN (environment): needs LOSSLESS_CLAIMS, or claims could be forged: write true "
            "there, or remove the rules.",
            f"BRIDGE_HUBS__NEWS__NEGOTIATE__USER_ID (environment): {PLACEHOLDER}",
        ],
    ),
    "no endpoint, a port and a negotiate rule": (
        of(AzureSignalRConnectionString="", BRIDGE_PORT="http", BRIDGE_CALLERS__LISTEN="127.0.0.1:8080")
        | forward(CATEGORY="negotiate", FORMAT="cloudevents", EVENT="x", HEADERS="a b", FUNCTION="f"),
        [
            f"{HERE}: there is no endpoint: set it to the connection string of your SignalR instance, "
            "or Azure__SignalR__Endpoints__<name> for each of several.",
            "BRIDGE_FORWARD__ORDERS__EVENT (environment): goes with events only: "
            'remove it where category = "negotiate".',
            'BRIDGE_FORWARD__ORDERS__FORMAT (environment): category = "negotiate" knows one format: write json.',
            "BRIDGE_FORWARD__ORDERS__FUNCTION (environment): goes with format = \"functions\" only: "
            "remove it, or write that format.",
            "BRIDGE_FORWARD__ORDERS__HEADERS (environment): a name is no name of a header: "
            'write such as ["cookie", "authorization"].',
            "BRIDGE_PORT (environment): write a whole number alone, such as 8080, without a unit.",
        ],
    ),
    "nothing that only follows from something else": (
        of(BRIDGE_CALLERS__KEYS="", BRIDGE_CALLERS__OIDC__ISSUER="https://login.example",
            BRIDGE_ALLOW_EMULATOR_KEY="ture", AzureSignalRConnectionString=EMULATOR)
        | forward(CATEGORY="negotiates", HEADERS="cookie"),
        [
            "BRIDGE_ALLOW_EMULATOR_KEY (environment): write true or false.",
            "BRIDGE_CALLERS__OIDC__ISSUER (environment): does not stand alone: set BRIDGE_CALLERS__OIDC__AUDIENCE and "
            "BRIDGE_CALLERS__OIDC__ROLES, too, or none of them.",
            "BRIDGE_FORWARD__ORDERS__CATEGORY (environment): write connections, messages, negotiate or *.",
        ],
    ),
}  # fmt: skip
"""Several mistakes at once, and all their lines in the order of the alphabet."""

UNKNOWN_HOST = WrongStart("a host that does not resolve (`check --probe`; in `serve` a warning)",
    "BRIDGE_FORWARD__ORDERS__URL (environment): the host 'backend.invalid' does not resolve: "
    "write a name that this machine knows, or start that host.", forward(URL="http://backend.invalid/x"))  # fmt: skip
TAKEN_PORT = WrongStart(
    "a port that is taken",
    "BRIDGE_PORT (--port): cannot listen on 127.0.0.1 port 8080 (address already in use): write another port.",
)
"""Both are tried by processes, see ``tests/e2e/test_first_words.py``."""

WRONG_STARTS = [*CREDENTIALS, *ACCESS, *ADDRESSES, *VALUES, *EVENTS, *FILES]


def write_table() -> str:
    """The table for people, in Markdown."""
    rows = [f"| {one.what} | `` {one.line} `` |" for one in [*WRONG_STARTS, UNKNOWN_HOST, TAKEN_PORT]]
    return "\n".join(["| what somebody did | the line |", "|---|---|", *rows])


if __name__ == "__main__":
    print(write_table())
