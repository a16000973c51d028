"""Connections, users and groups of a hub, and how long a user stays in a group."""

from signalr_bridge.emulator.codecs import CODECS
from signalr_bridge.emulator.hubs import DEFAULT_TTL_SECONDS, Hubs, HubState, Member, send
from signalr_bridge.protocol.hub_message import Invocation

from tests.unit.emulator.fakes import Clock, FakeMember, read_frame


def names(members: list[Member]) -> list[str]:
    return sorted(member.connection_id for member in members)


def hub_with(*members: FakeMember, clock: Clock | None = None) -> HubState:
    hub = HubState("chat", clock or Clock())
    for member in members:
        hub.enter(member)
    return hub


def test_a_connection_is_found_by_id_and_user_until_it_leaves() -> None:
    alice = FakeMember("a", "alice")
    hub = hub_with(alice, FakeMember("b"))
    assert hub.find_connection("a") is alice
    assert names(hub.find_user("alice")) == ["a"]
    hub.leave(alice)
    assert hub.find_connection("a") is None
    assert hub.find_user("alice") == []
    assert names(hub.members()) == ["b"]


def test_users_are_told_apart_by_case_and_the_empty_user_is_one() -> None:
    hub = hub_with(FakeMember("a", "Alice"), FakeMember("b", ""))
    assert hub.find_user("alice") == []
    assert names(hub.find_user("")) == ["b"]


def test_a_connection_joins_and_leaves_a_group() -> None:
    hub = hub_with(FakeMember("a"))
    assert hub.add_connection("g", "a")
    assert hub.has_group("g")
    hub.remove_connection("g", "a")
    assert not hub.has_group("g")


def test_an_unknown_connection_joins_nothing_and_leaves_in_peace() -> None:
    hub = hub_with()
    assert not hub.add_connection("g", "nobody")
    assert not hub.has_group("g")
    hub.remove_connection("g", "nobody")
    hub.remove_connection_from_all("nobody")


def test_a_connection_that_goes_leaves_its_groups() -> None:
    alice = FakeMember("a")
    hub = hub_with(alice)
    hub.add_connection("g", "a")
    hub.leave(alice)
    assert not hub.has_group("g")


def test_leaving_all_groups_is_for_one_connection_only() -> None:
    hub = hub_with(FakeMember("a", "u"), FakeMember("b", "u"))
    for group in ("g", "h"):
        hub.add_connection(group, "a")
        hub.add_connection(group, "b")
    hub.remove_connection_from_all("a")
    assert names(hub.find_group("g")) == names(hub.find_group("h")) == ["b"]


def test_a_user_joins_with_present_and_future_connections() -> None:
    hub = hub_with(FakeMember("a", "u"))
    hub.add_user("u", "g")
    hub.enter(FakeMember("b", "u"))
    hub.enter(FakeMember("c", "somebody else"))
    assert names(hub.find_group("g")) == ["a", "b"]


def test_a_user_can_be_added_before_anybody_has_connected() -> None:
    hub = Hubs(Clock()).find("chat")
    hub.add_user("u", "g")
    assert hub.is_user_in_group("u", "g")
    assert not hub.has_group("g"), "a group exists when a connection is in it"
    hub.enter(FakeMember("a", "u"))
    assert names(hub.find_group("g")) == ["a"]


def test_ttl_ends_the_record_but_not_the_membership_of_those_inside() -> None:
    clock = Clock()
    hub = hub_with(FakeMember("a", "u"), clock=clock)
    hub.add_user("u", "g", ttl=5)
    clock.now += 4.9
    assert hub.is_user_in_group("u", "g")
    clock.now += 0.1
    assert not hub.is_user_in_group("u", "g")
    hub.enter(FakeMember("b", "u"))
    assert names(hub.find_group("g")) == ["a"]


def test_ttl_zero_is_for_those_who_are_here_now() -> None:
    hub = hub_with(FakeMember("a", "u"))
    hub.add_user("u", "g", ttl=0)
    assert not hub.is_user_in_group("u", "g")
    hub.enter(FakeMember("b", "u"))
    assert names(hub.find_group("g")) == ["a"]


def test_without_ttl_a_user_stays_for_a_year() -> None:
    clock = Clock()
    hub = hub_with(clock=clock)
    hub.add_user("u", "g")
    clock.now += DEFAULT_TTL_SECONDS - 1
    assert hub.is_user_in_group("u", "g")
    clock.now += 1
    assert not hub.is_user_in_group("u", "g")


def test_a_new_ttl_replaces_the_old_one() -> None:
    clock = Clock()
    hub = hub_with(clock=clock)
    hub.add_user("u", "g", ttl=100)
    hub.add_user("u", "g", ttl=1)
    clock.now += 2
    assert not hub.is_user_in_group("u", "g")


def test_a_user_that_is_removed_leaves_with_all_connections() -> None:
    hub = hub_with(FakeMember("a", "u"), FakeMember("b", "u"))
    hub.add_user("u", "g")
    hub.add_user("u", "h")
    hub.remove_user("u", "g")
    assert not hub.has_group("g")
    assert not hub.is_user_in_group("u", "g")
    assert hub.is_user_in_group("u", "h")


def test_removing_a_user_from_all_groups_takes_what_its_connections_joined_themselves() -> None:
    hub = hub_with(FakeMember("a", "u"))
    hub.add_user("u", "g")
    hub.add_connection("h", "a")
    hub.remove_user_from_all("u")
    assert not hub.has_group("g")
    assert not hub.has_group("h")
    assert not hub.is_user_in_group("u", "g")
    hub.remove_user_from_all("nobody")


def test_the_records_of_a_user_outlive_its_connections() -> None:
    alice = FakeMember("a", "u")
    hub = hub_with(alice)
    hub.add_user("u", "g")
    hub.leave(alice)
    assert hub.is_user_in_group("u", "g")


def test_hubs_are_one_in_any_case_and_keep_the_first_spelling() -> None:
    hubs = Hubs(Clock())
    assert hubs.find("Chat") is hubs.find("cHAT")
    assert hubs.find("chat").name == "Chat"
    assert hubs.find("other") is not hubs.find("chat")


def test_a_message_is_encoded_once_for_each_protocol() -> None:
    other = CODECS["messagepack"]
    members = [FakeMember("a"), FakeMember("b"), FakeMember("c", codec=other), FakeMember("d", codec=other)]
    send(members, Invocation("hi", [1]))
    frames = [member.frames[0] for member in members]
    assert frames[0] is frames[1]
    assert frames[2] is frames[3]
    assert frames[0] is not frames[2]
    assert read_frame(frames[0]) == '{"type":1,"target":"hi","arguments":[1]}\x1e'
    assert read_frame(frames[2]) == b"\x0a\x96\x01\x80\xc0\xa2hi\x91\x01\x90"
