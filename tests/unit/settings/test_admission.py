"""Who may do what, as the settings say it: callers, clients, hubs with rules of their own."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import gather, load

from tests.shape.tree import ROOT
from tests.unit.settings.given import loaded, toml


def test_keys_in_every_form() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    keys = loaded(
        {"BRIDGE_CALLERS__KEYS": f'["k23456789012345a", {{"name":"b","sha256":"{digest}","hubs":["Chat"]}}]'}
    ).callers.keys
    assert [(one.name, one.hubs, one.rights) for one in keys] == [("key-1", None, None), ("b", ("chat",), None)]
    unnamed = '[{"key":"k23456789012345a"},{"key":"k23456789012345b","hubs":["chat"]}]'
    assert [one.name for one in loaded({"BRIDGE_CALLERS__KEYS": unnamed}).callers.keys] == ["key-1", "key-2"]
    (one,) = loaded({"BRIDGE_CALLERS__KEYS": "k23456789012345a"}).callers.keys
    assert one.name == "key"
    assert [one.name for one in loaded({"BRIDGE_CALLERS__KEYS": "k23456789012345a,k23456789012345b"}).callers.keys] == [
        "key-1",
        "key-2",
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8081", ("127.0.0.1", 8081)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
    ],
)
def test_an_address_to_listen_on(text: str, address: tuple[str, int]) -> None:
    assert loaded({"BRIDGE_CALLERS__LISTEN": text}).callers.listen_address == address


@pytest.mark.parametrize("text", ["8081", ":8081", "127.0.0.1", "127.0.0.1:65536", "::1:80", "a b:80", "http://x:80"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SettingsError, match="BRIDGE_CALLERS__LISTEN"):
        loaded({"BRIDGE_CALLERS__LISTEN": text})


def test_a_hub_s_own_rules_are_completed_by_those_for_all() -> None:
    settings = loaded(
        {
            "BRIDGE_NEGOTIATE__LIFETIME_SECONDS": "60",
            "BRIDGE_NEGOTIATE__HUBS": "x",
            "BRIDGE_CORS__HEADERS": "x-a",
            "BRIDGE_CORS__ORIGINS": "https://a.example",
            "BRIDGE_HUBS__Chat__NEGOTIATE__ANONYMOUS": "true",
            "BRIDGE_HUBS__Chat__CORS__ORIGINS": "https://b.example",
            "BRIDGE_HUBS__chat__room__NEGOTIATE__LIFETIME_SECONDS": "5",
            "BRIDGE_HUBS__news__STRATEGY": "weighted",
        }
    )
    chat, room = settings.negotiate_of("CHAT"), settings.negotiate_of("chat__room")
    assert (chat.anonymous, chat.lifetime_seconds) == (True, 60)
    assert (room.anonymous, room.lifetime_seconds) == (False, 5)
    assert settings.negotiate_of("news") == settings.negotiate_of("unknown") == settings.negotiate
    assert (settings.cors_of("chat").origins, settings.cors_of("chat").headers) == (("https://b.example",), ("x-a",))
    assert settings.cors_of("news").origins == ("https://a.example",)


def test_an_error_in_a_hub_s_rules_is_named() -> None:
    with pytest.raises(SettingsError, match="BRIDGE_HUBS__CHAT__NEGOTIATE"):
        loaded({"BRIDGE_HUBS__CHAT__NEGOTIATE__USER_ID": "{query.u}"})
    # What is allowed for all hubs is allowed for one.
    loaded({"BRIDGE_HUBS__CHAT__NEGOTIATE__USER_ID": "{query.u}", "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"})


@pytest.mark.parametrize(
    ("given", "joins"),
    [
        ('{"claim":"a","group":"{value}"}', [("a", "{value}")]),
        ('[{"claim":"a","group":"x"},{"claim":"b","group":"y"}]', [("a", "x"), ("b", "y")]),
    ],
)
def test_joins(given: str, joins: list[tuple[str, str]]) -> None:
    found = loaded({"BRIDGE_HUBS__CHAT__JOIN": given}).hubs["chat"].join
    assert [(one.claim, one.group) for one in found] == joins


@pytest.mark.parametrize("given", ["x", "{", '{"claim":""}', '{"claim":"a"}', '[{"claim":"a","group":"x","y":1}]'])
def test_a_join_that_is_none(given: str) -> None:
    with pytest.raises(SettingsError, match="BRIDGE_HUBS__CHAT__JOIN"):
        loaded({"BRIDGE_HUBS__CHAT__JOIN": given})


def test_the_readme_s_examples_are_settings(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = [
        one for one in re.findall(r"^```toml\n(.*?)^```", readme, re.M | re.S) if "[callers]" in one or "jwt" in one
    ]
    assert len(blocks) == 2
    text = "\n".join(blocks).replace("<hex>", "a" * 64)
    settings = toml(tmp_path, text)
    lobby: Any = settings.negotiate_of("lobby")
    assert (lobby.anonymous, lobby.claim_types, lobby.jwt[0].user_claim) == (True, ("roles",), "oid")
    assert settings.hubs["lobby"].join[0].group == "role:{value}"
    assert [one.name for one in settings.callers.keys] == ["billing", "billing"]


def test_a_trusted_proxy_is_a_network() -> None:
    assert [str(one) for one in loaded({"BRIDGE_TRUSTED_PROXIES": "10.0.0.0/8, ::1"}).trusted_proxies] == [
        "10.0.0.0/8",
        "::1/128",
    ]
    with pytest.raises(SettingsError, match="BRIDGE_TRUSTED_PROXIES"):
        load(gather({"BRIDGE_TRUSTED_PROXIES": "10.0.0.1/8"}, {}))
