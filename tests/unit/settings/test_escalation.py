"""Nothing opens while running: every field of the settings, and a real file cut off at every byte."""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from signalr_bridge.errors import SettingsError, Unauthenticated
from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.settings import Settings, gather, load
from signalr_bridge.settings.fields import is_judged, is_live
from signalr_bridge.settings.live import LiveSettings, plan_change
from signalr_bridge.settings.model import CallerKey, CredentialSettings, EndpointSettings
from signalr_bridge.upstream.authenticator import make_upstream_rules
from signalr_bridge.web.callers import Right, read_keys
from signalr_bridge.web.log_observer import LogObserver

from tests.unit.settings.given import connection

A, B, C, D = (f"{name}-0123456789abcdef" for name in "abcd")
BASE = {"AzureSignalRConnectionString": connection("contoso", "a-long-access-key")}


def write(given: Mapping[str, object]) -> dict[str, str]:
    """Settings as an environment, with one caller's key where none is given."""
    keys = given.get("keys", A)
    named = {"BRIDGE_CALLERS__KEYS": keys if isinstance(keys, str) else json.dumps(keys)}
    return BASE | named | {name: str(value) for name, value in given.items() if name != "keys"}


def settings(keys: object = A, **more: str) -> Settings:
    return load(gather(write({"keys": keys, **more}), {}))


# --- every field


EVERYTHING: dict[str, Any] = {
    "callers": {"keys": ["k" * 16], "oidc": {"issuer": "https://i", "audience": ["a"], "roles": {"r": {}}}},
    "negotiate": {"jwt": [{"issuer": "https://i", "audience": ["a"]}], "hubs": ["chat"]},
    "upstream": {"code": ["one"], "keys": ["two"]},
    "hubs": {
        "chat": {
            "join": [{"claim": "role", "group": "g"}],
            "negotiate": {"anonymous": False},
            "cors": {"origins": ["https://a.example"]},
            "upstream": {"code": ["three"]},
        }
    },
    "forward": {"orders": {"url": "http://backend", "secrets": ["s"]}},
}
HARMLESS = {"connection", "forward.orders.secrets", "functions.secrets"}
"""These name an instance of ours, or sign what we send. Nobody gets in by them."""
JUDGED = {
    "callers.keys",
    "connections",
    "endpoints",
    "hubs.chat.connection",
    "hubs.chat.upstream.code",
    "hubs.chat.upstream.keys",
    "upstream.code",
    "upstream.keys",
}


def find_leaves(value: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, field in type(value).model_fields.items():
        inner = getattr(value, name)
        if isinstance(inner, BaseModel):
            yield from find_leaves(inner, (*path, name))
        elif isinstance(inner, dict) and name in {"hubs", "forward"}:
            for free, one in inner.items():
                yield from find_leaves(one, (*path, name, free))
        else:
            yield (*path, name), field


def get(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def put(value: Any, path: tuple[str, ...], new: Any) -> Any:
    name, *rest = path
    inner = put(get(value, (name,)), tuple(rest), new) if rest else new
    return value | {name: inner} if isinstance(value, dict) else value.model_copy(update={name: inner})


def another(value: Any) -> Any:
    """A value of the same type that differs. Nobody validates it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple | list):
        return (*value, "another")
    return {**value, "another": ()} if isinstance(value, dict) else f"{value}-another"


FULL = Settings(**EVERYTHING)
LEAVES = {".".join(path): (path, field) for path, field in find_leaves(FULL)}


def test_every_field_says_whether_it_may_change_while_running() -> None:
    """A new field waits for a restart, unless somebody marks it and says here why it may change."""
    live = {name for name, (_, field) in LEAVES.items() if is_live(field)}
    judged = {name for name, (_, field) in LEAVES.items() if is_judged(field)}
    assert (live - judged, judged) == (HARMLESS, JUDGED)


@pytest.mark.parametrize("name", sorted(set(LEAVES) - JUDGED - HARMLESS))
def test_all_other_fields_wait_for_a_restart(name: str) -> None:
    path, _ = LEAVES[name]
    for value in (another(get(FULL, path)), None):
        plan = plan_change(FULL, put(FULL, path, value))
        assert plan.settings == FULL, f"{name} has changed while running"
        assert len(plan.waiting) == (get(FULL, path) != value)


@pytest.mark.parametrize("section", ["negotiate", "cors"])
def test_a_hubs_own_section_that_is_gone_holds_until_a_restart(section: str) -> None:
    assert plan_change(FULL, put(FULL, ("hubs", "chat", section), None)).settings == FULL
    gone = plan_change(FULL, FULL.model_copy(update={"hubs": {}, "forward": {}})).settings
    assert (gone.negotiate_of("chat"), gone.cors_of("chat")) == (FULL.negotiate_of("chat"), FULL.cors_of("chat"))
    assert gone.forward == FULL.forward


def test_every_field_inside_what_is_judged_is_known() -> None:
    """A field that limits somebody, such as an end of a key's validity, must be judged before it is added here."""
    assert set(CallerKey.model_fields) == {"key", "sha256", "name", "form", "hubs", "rights"}
    places = {"source", "setting"}
    tuning = {"weight", "upstream_app_id", "lenient_404"}
    assert set(EndpointSettings.model_fields) == {"name", "endpoint_type", "connection", "credential"} | places | tuning
    assert {one.name for one in fields(ConnectionString)} == {
        *("endpoint", "client_endpoint", "server_endpoint", "access_key"),
        *("auth_type", "client_id", "tenant_id", "client_secret", "client_certificate"),
    }
    assert set(CredentialSettings.model_fields) == {
        *("kind", "tenant_id", "client_id", "resource_id", "object_id"),
        *("client_secret", "certificate_file", "token_file", "allowed_tenants", "variables"),
    }
    assert {name for name, field in EndpointSettings.model_fields.items() if is_judged(field)} == {"upstream_app_id"}


# --- callers' keys


def key(secret: str, name: str | None = "a", **limits: list[str]) -> dict[str, Any]:
    return {"key": secret} | ({} if name is None else {"name": name}) | limits


def hashed(secret: str, **limits: Any) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(secret.encode()).hexdigest(), "name": "a"} | limits


SEND, BOTH = ["send"], ["send", "read"]
TAKEN: Mapping[str, tuple[object, object]] = {
    "a plain key by a plain key": (A, B),
    "a plain key by two": (A, f"{A},{B}"),
    "plain keys by one in another place": (f"{A},{B}", f"{C}"),
    "a key of the same name": ([key(A, hubs=["x"])], [key(B, hubs=["x"])]),
    "beside the former one": ([key(A, hubs=["x"])], [key(A, hubs=["x"]), key(B, hubs=["x"])]),
    "with fewer hubs": ([key(A, hubs=["x", "y"])], [key(B, hubs=["y"])]),
    "with fewer rights": ([key(A, rights=BOTH)], [key(B, rights=SEND)]),
    "limited where it was not": ([key(A)], [key(A, hubs=["x"], rights=SEND)]),
    "by its digest": ([key(A, hubs=["x"])], [hashed(A, hubs=["x"])]),
    "a new digest": ([key(A, hubs=["x"])], [hashed(B, hubs=["x"])]),
    "gone": ([key(A), key(B, "b")], [key(A)]),
    "renamed": ([key(A)], [key(A, "b")]),
}


@pytest.mark.parametrize("change", TAKEN)
def test_keys_rotate(change: str) -> None:
    before, after = TAKEN[change]
    plan = plan_change(settings(before), settings(after))
    assert (plan.settings, plan.escalations, plan.waiting) == (settings(after), (), ())


WAITING: Mapping[str, tuple[object, object, dict[str, list[tuple[str, str]]]]] = {
    # By the key: what it may do afterwards, as (right, hub).
    "hubs gone": ([key(A, hubs=["x"])], [key(A)], {A: [("send", "x"), ("read", "x")]}),
    "hubs grown": ([key(A, hubs=["x"])], [key(A, hubs=["x", "y"])], {A: [("send", "x"), ("read", "x")]}),
    "rights gone": ([key(A, rights=SEND)], [key(A)], {A: [("send", "x"), ("send", "y")]}),
    "rights grown": ([key(A, rights=SEND)], [key(A, rights=BOTH)], {A: [("send", "x"), ("send", "y")]}),
    "hubs for others": ([key(A, hubs=["x"])], [key(A, hubs=["y"])], {A: []}),
    "fewer hubs and more rights": (
        [key(A, hubs=["x", "y"], rights=SEND)],
        [key(A, hubs=["x"])],
        {A: [("send", "x")]},
    ),
    "by its digest": ([key(A, hubs=["x"])], [hashed(A)], {A: [("send", "x"), ("read", "x")]}),
    "the second of two equal ones": ([key(A, hubs=["x"]), key(A)], [key(A)], {A: [("send", "x"), ("read", "x")]}),
    "a new one of the same name with more": ([key(A, hubs=["x"])], [key(A, hubs=["x"]), key(B)], {B: []}),
    "a new name": ([key(A)], [key(A), key(B, "b", hubs=["x"])], {B: []}),
    "a new table, cut off behind its key": ([key(A)], [key(A), key(B, None)], {B: []}),
    "a table in the place of one without a name": ([key(A, None)], [key(A, None), key(B, None)], {B: []}),
    "a table for a plain key": ([A], [A, key(B, None)], {B: []}),
    "a table that is called as a plain key is": ([A], [A, key(B, "key")], {B: []}),
    "a plain key for a table": ([key(A, "key")], [key(A, "key"), B], {B: []}),
    "a plain key for one without a name": ([key(A, None)], [key(A, None), B], {B: []}),
    "a plain key that is cut off": ([A], [A[:-1]], {A[:-1]: [], A: []}),
    "the second of two plain keys is cut off": (f"{A},{B}", f"{A},{B[:-1]}", {B[:-1]: []}),
    "a key that is cut off, of the same name": ([key(A)], [key(A), key(A[:-1])], {A[:-1]: []}),
}


@pytest.mark.parametrize("change", WAITING)
def test_keys_get_nothing_more(change: str) -> None:
    before, after, allowed = WAITING[change]
    plan = plan_change(settings(before), settings(after))
    for secret, wanted in allowed.items():
        caller = read_keys(plan.settings.callers.keys).find(secret)
        found = [(right, hub) for right in ("send", "read") for hub in "xy" if caller and caller.may(Right(right), hub)]
        assert found == wanted
    assert {one.setting for one in plan.escalations} == {"BRIDGE_CALLERS__KEYS"}
    assert not any(secret in str(plan) for secret in (A, B))


def test_a_key_that_was_lost_with_the_end_of_a_file_comes_back_with_it() -> None:
    whole, cut = [key(A, hubs=["x"]), key(B, "b")], [key(A)]
    running = Running(settings(whole))
    running.take(write({"keys": cut}))
    assert running.reach() == reach(settings([key(A, hubs=["x"])]))
    running.take(write({"keys": whole}))
    assert running.current == settings(whole)
    running.take(write({"keys": [*whole, key(C, "b"), key(D, "a")]}))
    assert running.reach() == reach(settings([*whole, key(C, "b")]))


def test_what_a_key_had_before_it_was_limited_counts_no_more() -> None:
    running = Running(settings([key(A), key(B, "b")]))
    limited = [key(A, hubs=["x"]), key(B, "b")]
    running.take(write({"keys": limited}))
    running.take(write({"keys": [*limited, key(C)]}))
    assert running.current == settings(limited)
    running.take(write({"keys": [key(B, "b")]}))
    running.take(write({"keys": [key(A), key(C), key(B, "b")]}))
    assert running.current == settings([key(B, "b")])
    running.take(write({"keys": limited}))
    assert running.current == settings(limited)


def test_the_digest_of_nothing_is_no_key() -> None:
    """What ``printf '' | sha256sum`` prints: an empty variable was hashed."""
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for text in (nothing, nothing.upper()):
        with pytest.raises(SettingsError, match="entry 1: the sha256 is that of an empty text"):
            settings([{"name": "a", "sha256": text}])


def test_how_a_key_was_written_is_nothing_to_write() -> None:
    with pytest.raises(
        SettingsError, match=r"BRIDGE_CALLERS__KEYS .*a name in it means nothing: write key, sha256, name,"
    ):
        settings([key(A) | {"form": "text"}])


# --- codes and keys of the upstream

CODE, KEYS = "BRIDGE_UPSTREAM__CODE", "BRIDGE_UPSTREAM__KEYS"
OWN_CODE, OWN_KEYS = "BRIDGE_HUBS__CHAT__UPSTREAM__CODE", "BRIDGE_HUBS__CHAT__UPSTREAM__KEYS"
UPSTREAM_TAKEN: Mapping[str, tuple[dict[str, str], dict[str, str]]] = {
    "a code by another": ({CODE: "one"}, {CODE: "two"}),
    "a second code": ({CODE: "one"}, {CODE: "one,two"}),
    "one of two codes is gone": ({CODE: "one,two"}, {CODE: "one"}),
    "the first code": ({}, {CODE: "one"}),
    "a hub's own code by another": ({CODE: "one", OWN_CODE: "two"}, {CODE: "one", OWN_CODE: "three"}),
    "a new key": ({KEYS: "one"}, {KEYS: "two"}),
    "no key": ({KEYS: "one"}, {}),
}


@pytest.mark.parametrize("change", UPSTREAM_TAKEN)
def test_codes_rotate(change: str) -> None:
    before, after = (settings(**given) for given in UPSTREAM_TAKEN[change])
    plan = plan_change(before, after)
    assert (plan.settings.upstream, plan.settings.upstream_of("chat")) == (after.upstream, after.upstream_of("chat"))
    assert plan.escalations == ()


UPSTREAM_WAITING: Mapping[str, tuple[dict[str, str], dict[str, str], str]] = {
    "the last code is gone": ({CODE: "one"}, {}, CODE),
    "the last code is blank": ({CODE: "one"}, {CODE: " "}, CODE),
    "a hub's last code is gone": ({OWN_CODE: "one"}, {"BRIDGE_HUBS__CHAT__UPSTREAM__UNHANDLED": "404"}, OWN_CODE),
    "a hub's own code is gone, and that of all would do": ({CODE: "one", OWN_CODE: "two"}, {CODE: "one"}, OWN_CODE),
    "a hub's own code would do for all": ({CODE: "one", OWN_CODE: "two"}, {CODE: "two", OWN_CODE: "two"}, CODE),
    "a hub's own key is gone, and that of all would do": (
        {KEYS: "key-1", OWN_KEYS: "key-2", CODE: "c"},
        {KEYS: "key-1", CODE: "c"},
        OWN_KEYS,
    ),
    "a code is cut off": ({CODE: "secret"}, {CODE: "s"}, CODE),
    "the second of two is cut off": ({CODE: "one,secret"}, {CODE: "one,s"}, CODE),
    "a key is cut off": ({KEYS: "secret"}, {KEYS: "s"}, KEYS),
}


@pytest.mark.parametrize("change", UPSTREAM_WAITING)
def test_upstream_asks_for_no_less(change: str) -> None:
    given, wanted, name = UPSTREAM_WAITING[change]
    before = settings(**given)
    plan = plan_change(before, settings(**wanted))
    assert plan.settings.upstream_of("chat") == before.upstream_of("chat")
    assert plan.settings.upstream_of("x") == before.upstream_of("x")
    assert [one.setting for one in plan.escalations] == [name]
    assert name not in plan.waiting, "it is said once"


# --- endpoints

CONNECTION = "AzureSignalRConnectionString"
ENTRA = {
    "BRIDGE_UPSTREAM__ENTRA__TENANT": "00000000-0000-0000-0000-000000000001",
    "BRIDGE_UPSTREAM__ENTRA__AUDIENCE": "api://bridge",
    "BRIDGE_UPSTREAM__ENTRA__APP_IDS": "*",
    "Azure__SignalR__Endpoints__e__serviceUri": "https://e.service.signalr.net",
}
APPLICATION = "BRIDGE_ENDPOINTS__E__UPSTREAM_APP_ID"


@pytest.mark.parametrize("text", [connection("contoso", "other-key"), connection("other", "a"), connection("c", "k")])
def test_an_endpoint_changes_its_key_and_address(text: str) -> None:
    plan = plan_change(settings(), settings(**{CONNECTION: text}))
    assert (plan.settings, plan.escalations) == (settings(**{CONNECTION: text}), ())


@pytest.mark.parametrize(
    "whole",
    [
        "Endpoint=https://contoso.service.signalr.net;AccessKey=a-long-access-key",
        "AccessKey=a-long-access-key;Endpoint=https://contoso.service.signalr.net",
        "Endpoint=https://contoso.service.signalr.net;AccessKey=a-long-access-key;ClientEndpoint=https://apim.example.com",
    ],
)
def test_a_connection_string_that_is_cut_off_opens_nothing(whole: str) -> None:
    """A folder of secrets holds one text in each file. Half a key could be guessed, half a host is somebody else's."""
    before = settings(**{CONNECTION: whole}).endpoints[0].connection
    for length in range(len(whole)):
        running = Running(settings(**{CONNECTION: whole}))
        with suppress(SettingsError):
            running.take(write({CONNECTION: whole[:length]}))
        now = running.current.endpoints[0].connection
        assert (now.access_key, now.endpoint) == (before.access_key, before.endpoint)
        assert now.client_endpoint in {before.client_endpoint, None}


def test_the_application_of_an_endpoint_stays_named() -> None:
    named = settings(**ENTRA, **{APPLICATION: "one"})
    unnamed = settings(**ENTRA)
    plan = plan_change(named, unnamed)
    assert plan.settings.all_endpoints() == named.all_endpoints()
    assert [one.setting for one in plan.escalations] == [APPLICATION]
    assert plan_change(named, settings(**ENTRA, **{APPLICATION: "two"})).escalations == ()
    assert plan_change(unnamed, named).settings.all_endpoints() == named.all_endpoints()
    new = {"Azure__SignalR__Endpoints__f__serviceUri": "https://f.service.signalr.net"}
    assert plan_change(unnamed, settings(**ENTRA, **new)).escalations == ()
    plan = plan_change(named, settings(**ENTRA, **new, **{APPLICATION: "one"}))
    assert plan.settings.all_endpoints() == named.all_endpoints()
    assert [one.setting for one in plan.escalations] == ["BRIDGE_ENDPOINTS__F__UPSTREAM_APP_ID"]


# --- a file that is cut off


class Running:
    """Settings in force that follow changes, as in a bridge that runs."""

    def __init__(self, current: Settings) -> None:
        self.current = current
        self._live = LiveSettings(lambda: self.current, lambda wanted: lambda: self._commit(wanted), LogObserver())

    def _commit(self, wanted: Settings) -> None:
        self.current = wanted

    def take(self, environment: Mapping[str, str]) -> None:
        values = gather(environment, {})
        self._live.take(self._live.plan(values), values)

    def reach(self) -> set[object]:
        return reach(self.current)


HUBS = ("chat", "orders", "vault", "other")


def reach(current: Settings) -> set[object]:
    """All that anybody may do: by each key, with each code, signed by each key, and as a client."""
    found: set[object] = set()
    ring = read_keys(current.callers.keys)
    for secret in (A, B, C, D):
        if (caller := ring.find(secret)) is not None:
            found |= {(secret, right, hub) for right in Right for hub in (*HUBS, None) if caller.may(right, hub)}
    for hub in HUBS:
        upstream = current.upstream_of(hub)
        rules = make_upstream_rules(upstream, ())
        for code in ("", "code-of-all", "code-of-vault", "new-code"):
            try:
                rules.check_code(f"code={code}".encode() if code else b"", [])
                found.add(("code", hub, code))
            except Unauthenticated:
                pass
        found |= {("signature", hub, one.key) for one in rules.keys}
        found.add(("unsigned", hub, rules.allow_unsigned))
        found.add(("negotiate", hub, current.negotiate_of(hub).model_dump_json()))
        found.add(("pages", hub, current.cors_of(hub).model_dump_json()))
    return found | {("rest", current.hubs_only, current.trusted_proxies, current.limits, current.negotiate.hubs)}


FILE = f"""
hubs_only = true
trusted_proxies = ["10.0.0.0/8"]

[azure.signalr.endpoints]
east = "{connection("east", "key-of-east")}"
west = "{connection("west", "key-of-west")}"

[[callers.keys]]
key = "{A}"
name = "orders"
hubs = ["orders"]
rights = ["send", "groups"]

[[callers.keys]]
name = "chat"
key = "{B}"
rights = ["send"]
hubs = ["chat"]

[callers.oidc]
issuer = "https://login.example/t"
audience = ["api://bridge"]
[callers.oidc.roles.Sender]
rights = ["send"]
hubs = ["chat"]

[limits]
caller_per_second = 5
negotiate_per_second = 5

[negotiate]
hubs = ["chat"]
[[negotiate.jwt]]
issuer = "https://login.example/t"
audience = ["api://chat"]
required = {{ scp = ["chat"] }}

[cors]
origins = ["https://app.example"]

[upstream]
code = ["code-of-all"]
keys = ["verifies-all-of-them"]

[hubs.vault]
join = [{{ claim = "role", group = "role:{{value}}" }}]
[hubs.vault.negotiate]
close_on_expiry = true
lifetime_seconds = 60
[[hubs.vault.negotiate.jwt]]
issuer = "https://login.example/t"
audience = ["api://vault"]
required = {{ roles = ["Keeper"] }}
[hubs.vault.upstream]
keys = ["verifies-vault-alone"]
code = ["code-of-vault"]
[hubs.vault.cors]
origins = ["https://vault.example"]
"""
CHANGED = FILE.replace(
    "[callers.oidc]\n",
    f"""[[callers.keys]]
key = "{C}"
name = "chat"
hubs = ["chat"]
rights = ["send"]

[[callers.keys]]
key = "{D}"
name = "partner"
hubs = ["other"]

[callers.oidc]
""",
).replace('"code-of-all"', '"new-code"')


def test_a_file_cut_off_at_any_byte_opens_nothing(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text(FILE)
    whole = load(gather({"BRIDGE_SETTINGS_FILE": str(file)}, {}))
    rotated = {(C, Right.SEND, "chat"), *(("code", hub, "new-code") for hub in HUBS if hub != "vault")}
    allowed, seen, running = reach(whole) | rotated, set[object](), Running(whole)
    for text in (FILE, CHANGED):
        for length in range(len(text) + 1):
            if (found := parse(text[:length])) is None or repr(found) in seen:
                continue
            seen.add(repr(found))
            running = Running(whole)
            file.write_text(text[:length])
            with suppress(SettingsError):
                running.take({"BRIDGE_SETTINGS_FILE": str(file)})
            assert running.reach() <= allowed, text[:length]
    assert len(seen) > 60
    running.take({"BRIDGE_SETTINGS_FILE": str(file)})
    assert rotated <= running.reach(), "what is whole is taken, but for the new key"


def parse(text: str) -> object | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
