"""What a change of settings may do while running: endpoints and secrets at once, the rest at the next start."""

import logging
from collections.abc import Callable, Mapping

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import Settings, gather, load
from signalr_bridge.settings.fields import is_live
from signalr_bridge.settings.live import LiveSettings, plan_change
from signalr_bridge.settings.names import find_path, settings_below, settings_by_path, write_name
from signalr_bridge.web.log_observer import LogObserver

from tests.unit.settings.given import connection

CANARY = "canary-29aa-0123456789"
BASE = {
    "AzureSignalRConnectionString": connection("a", "first"),
    "BRIDGE_CALLERS__KEYS": "0123456789abcdef",
    "BRIDGE_FORWARD__ORDERS__URL": "http://backend",
    "BRIDGE_FORWARD__ORDERS__SECRETS": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
}


def settings(**more: str) -> Settings:
    return load(gather(BASE | more, {}))


AT_ONCE = {
    "a key": ({"AzureSignalRConnectionString": connection("a", CANARY)}, "endpoint default: credential rotated"),
    "a new endpoint": ({"Azure__SignalR__Endpoints__b": connection("b", CANARY)}, "endpoint b added"),
    "an address": ({"AzureSignalRConnectionString": connection("c", "first")}, "endpoint default: changed"),
    "a weight": ({"BRIDGE_ENDPOINTS__DEFAULT__WEIGHT": "0"}, "endpoint default: changed"),
    "a caller's key": ({"BRIDGE_CALLERS__KEYS": CANARY}, "BRIDGE_CALLERS__KEYS changed"),
    "a code": ({"BRIDGE_UPSTREAM__CODE": CANARY}, "BRIDGE_UPSTREAM__CODE changed"),
    "a verifying key": ({"BRIDGE_UPSTREAM__KEYS": CANARY}, "BRIDGE_UPSTREAM__KEYS changed"),
    "a forward's secret": ({"BRIDGE_FORWARD__ORDERS__SECRETS": CANARY}, "BRIDGE_FORWARD__ORDERS__SECRETS changed"),
    "a functions' secret": ({"BRIDGE_FUNCTIONS__SECRETS": CANARY}, "BRIDGE_FUNCTIONS__SECRETS changed"),
    "a hub's connection": (
        {"BRIDGE_HUBS__CHAT__CONNECTION": "Other", "Other": connection("o", CANARY)},
        "BRIDGE_HUBS__CHAT__CONNECTION changed",
    ),
}


@pytest.mark.parametrize("change", AT_ONCE)
def test_what_changes_at_once(change: str) -> None:
    given, words = AT_ONCE[change]
    plan = plan_change(settings(), settings(**given))
    assert words in plan.changed
    assert plan.waiting == ()
    assert plan.settings.model_copy(update={"hubs": {}}) == settings(**given).model_copy(update={"hubs": {}})
    assert CANARY not in repr(plan)


LATER = {
    "BRIDGE_PORT": "9",
    "BRIDGE_HANDLERS": "a:b",
    "BRIDGE_CALLERS__LISTEN": "127.0.0.1:9",
    "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_NEGOTIATE__HUBS": "*",
    "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true",
    "BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true",
    "BRIDGE_TRUSTED_PROXIES": "10.0.0.0/8",
    "BRIDGE_UPSTREAM__ALLOW_UNSIGNED": "true",
    "BRIDGE_UPSTREAM__UNHANDLED": "200",
    "BRIDGE_ALLOW_EMULATOR_KEY": "true",
    "BRIDGE_FORWARD__ORDERS__UNSIGNED": "true",
    "BRIDGE_FORWARD__NEW__URL": "http://another",
    "BRIDGE_HUBS__CHAT__STRATEGY": "sticky-user",
    "BRIDGE_LIMITS__DEADLINE_SECONDS": "3",
    "BRIDGE_LOG_LEVEL": "debug",
}


def is_marked(name: str) -> bool:
    path = find_path(name.removeprefix("BRIDGE_").lower().replace("__", ":"))
    assert path is not None
    return is_live(settings_by_path().get(path) or settings_below(path[0])[path[2:]])


def test_what_changes_at_once_is_marked_and_nothing_else() -> None:
    ours = [name for given, _ in AT_ONCE.values() for name in given if name.startswith("BRIDGE_")]
    assert [name for name in ours if not is_marked(name)] == []
    assert [name for name in LATER if is_marked(name)] == []
    marked = {write_name(path) for path, field in settings_by_path().items() if is_live(field)}
    assert marked == {
        "BRIDGE_CONNECTION",
        "BRIDGE_CALLERS__KEYS",
        "BRIDGE_FUNCTIONS__SECRETS",
        "BRIDGE_UPSTREAM__CODE",
        "BRIDGE_UPSTREAM__KEYS",
    }
    below = {
        section: [path for path, field in settings_below(section).items() if is_live(field)] for section in SECTIONS
    }
    assert below == SECTIONS


SECTIONS = {
    "hubs": [("connection",), ("upstream", "code"), ("upstream", "keys")],
    "forward": [("secrets",)],
    "endpoints": [("weight",), ("upstream_app_id",), ("lenient_404",)],
}


@pytest.mark.parametrize("name", LATER)
def test_what_allows_access_and_the_rest_wait_for_a_restart(name: str) -> None:
    plan = plan_change(settings(), settings(**{name: LATER[name]}))
    assert name in plan.waiting
    assert plan.settings.model_copy(update={"hubs": {}}) == settings()


def test_the_connection_of_a_hub_may_come_and_change() -> None:
    """One that is gone waits: the keys of all hubs' instance would be this hub's, and its messages would go there."""
    other = {"BRIDGE_HUBS__CHAT__CONNECTION": "Other", "Other": connection("o")}
    there = plan_change(settings(), settings(**other)).settings
    assert _hosts(there) == ["o"]
    next_one = {"BRIDGE_HUBS__CHAT__CONNECTION": "Next", "Next": connection("n")}
    assert _hosts(plan_change(there, settings(**next_one)).settings) == ["n"]
    named = {"Azure__SignalR__Endpoints__e": connection("e")}
    for gone in (settings(), settings(Other=connection("o"))):
        plan = plan_change(there, gone)
        assert _hosts(plan.settings) == ["o"]
        assert [one.setting for one in plan.escalations] == ["BRIDGE_HUBS__CHAT__CONNECTION"]
        assert plan.waiting == (), "nothing else was said of the hub"
        assert plan_change(plan.settings, settings(**other)).settings == there
    with_named = plan_change(there, settings(**other, **named)).settings
    assert _hosts(with_named) == ["o", "e"]
    assert _hosts(plan_change(with_named, settings()).settings) == ["o"], "a named endpoint goes at once"


def _hosts(found: Settings) -> list[str]:
    return [one.connection.endpoint.removeprefix("https://").partition(".")[0] for one in found.endpoints_of("chat")]


# --- taken whole or not at all


class Follower:
    """Keeps the settings in force and remembers what it was told; ``refuses`` makes it say no."""

    def __init__(self, refuses: bool = False) -> None:
        self.current = settings()
        self.prepared: list[Settings] = []
        self.committed: list[Settings] = []
        self._refuses = refuses

    def prepare(self, wanted: Settings) -> Callable[[], None]:
        self.prepared.append(wanted)
        if self._refuses:
            raise SettingsError("A handler could never be called.")
        return lambda: self.commit(wanted)

    def commit(self, wanted: Settings) -> None:
        self.current = wanted
        self.committed.append(wanted)


def followed(one: Follower) -> LiveSettings:
    return LiveSettings(lambda: one.current, one.prepare, LogObserver())


def take(live: LiveSettings, given: Mapping[str, str]) -> None:
    values = gather(given, {})
    live.take(live.plan(values), values)


def test_a_change_reaches_the_follower(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    one = Follower()
    take(followed(one), BASE | {"AzureSignalRConnectionString": connection("a", CANARY), "BRIDGE_PORT": "9"})
    assert one.committed == [one.current]
    assert one.current.endpoints[0].connection.access_key == CANARY
    assert one.current.port == 8080
    assert "BRIDGE_PORT" in str([vars(one) for one in caplog.records])
    assert "endpoint default: credential rotated" in str([vars(one) for one in caplog.records])
    assert CANARY not in str([vars(one) for one in caplog.records])


@pytest.mark.parametrize(
    "given",
    [
        BASE | {"AzureSignalRConnectionString": f"Endpoint=https://a;AccessKey={CANARY};Port=x"},
        BASE | {"AzureSignalRConnectionString": connection("b"), "BRIDGE_PORT": CANARY},
        BASE | {"AzureSignalRConnectionString": ""},
        {"AzureSignalRConnectionString": connection("b")},
        BASE | {"AzureSignalRConnectionString": connection("b", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH")},
        # Allowing it opens an access, and so waits for a restart: until then the key is refused.
        BASE
        | {
            "AzureSignalRConnectionString": connection("b", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"),
            "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        },
    ],
)
def test_a_change_that_a_start_would_refuse_is_refused_whole(given: Mapping[str, str]) -> None:
    one = Follower()
    live = followed(one)
    before = one.current
    with pytest.raises(SettingsError) as caught:
        take(live, given)
    assert one.prepared == []
    assert one.current is before
    assert CANARY not in caught.value.detail


def test_what_the_next_start_would_refuse_is_refused_now() -> None:
    """Although it would do no harm before: whoever wrote it learns of it at once."""
    emulated = {"AzureSignalRConnectionString": connection("a", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH")}
    one = Follower()
    one.current = settings(**emulated, BRIDGE_ALLOW_EMULATOR_KEY="true")
    with pytest.raises(SettingsError, match="BRIDGE_ALLOW_EMULATOR_KEY"):
        take(followed(one), BASE | emulated | {"BRIDGE_UPSTREAM__CODE": "new"})


def test_a_follower_that_refuses_changes_nothing() -> None:
    one = Follower(refuses=True)
    before = one.current
    with pytest.raises(SettingsError, match="could never be called"):
        take(followed(one), BASE | {"AzureSignalRConnectionString": connection("b")})
    assert one.committed == []
    assert one.current is before


def test_what_changes_nothing_bothers_nobody() -> None:
    one = Follower()
    take(followed(one), BASE | {"HOME": "/"})
    assert one.prepared == []


def test_a_hubs_own_keys_that_are_gone_count_no_more_and_its_last_code_stays() -> None:
    before = settings(BRIDGE_HUBS__CHAT__UPSTREAM__KEYS=CANARY, BRIDGE_HUBS__CHAT__UPSTREAM__CODE=CANARY)
    for wanted in (settings(), settings(BRIDGE_HUBS__CHAT__STRATEGY="weighted")):
        plan = plan_change(before, wanted)
        upstream = plan.settings.upstream_of("chat")
        assert (upstream.keys, upstream.code) == ((), before.upstream_of("chat").code)
        assert [one.setting for one in plan.escalations] == ["BRIDGE_HUBS__CHAT__UPSTREAM__CODE"]
