"""Microsoft's JavaScript client in Node against the real processes: everything that a client and a backend can do."""

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.conftest import HANDLERS
from tests.e2e.node_client import CallFailed, NodeClient, NodeClients
from tests.e2e.processes import Machine, free_port, run_bridge

Connect = Callable[..., NodeClient]


def accept(machine: Machine, path: str, item: Any) -> None:
    with machine.http() as http:
        response = http.post(path, json=item)
    assert response.status_code == 202, response.text
    assert response.json()["status"] == "accepted"


def send(machine: Machine, *arguments: Any, target: str = "newMessage", **to: Any) -> None:
    accept(machine, "/hubs/chat/send", {"target": target, "arguments": arguments, **to})


def barrier(machine: Machine) -> None:
    """Everybody gets this one: whoever reads it next was left out of what was sent before."""
    send(machine, target="barrier")


def path(*segments: str) -> str:
    return "/hubs/chat/" + "/".join(quote(segment, safe="") for segment in segments)


BARRIER: tuple[str, list[Any]] = ("barrier", [])


def some_user() -> str:
    """Tests share their processes, so each has users and groups of its own."""
    return f"user-{secrets.token_hex(4)}"


# --- connecting


def test_the_address_of_the_hub_is_all_that_a_client_needs(node: NodeClients, apart: Machine) -> None:
    port = free_port()
    with run_bridge(port, apart.emulator_port, {"BRIDGE_NEGOTIATE__ANONYMOUS": "true", "BRIDGE_HANDLERS": HANDLERS}):
        client = node.client().start(f"http://localhost:{port}/hubs/chat")
        assert client.invoke("who") == {"userId": None, "connectionId": client.connection_id, "hub": "chat"}
        client.stop()


def test_a_user_is_who_the_negotiation_says(connect: Connect) -> None:
    user = some_user()
    client = connect(user)
    assert client.invoke("who") == {"userId": user, "connectionId": client.connection_id, "hub": "chat"}


def test_a_hub_that_nobody_named_is_closed_to_clients(node: NodeClients, apart: Machine) -> None:
    with pytest.raises(CallFailed, match="403"):
        node.client().start(f"{apart.url}/hubs/internal?userId=ann")


# --- what a backend sends


def test_a_broadcast_reaches_everybody(machine: Machine, connect: Connect) -> None:
    ann, bob = connect(some_user()), connect(some_user())
    send(machine, "curl", "hello é\u2028\U0001f600")
    assert ann.message() == bob.message() == ("newMessage", ["curl", "hello é\u2028\U0001f600"])


def test_arguments_arrive_as_they_were_sent(machine: Machine, connect: Connect) -> None:
    client = connect(some_user())
    values: list[Any] = [1, -2.5, True, None, "", {"Nested": [{"id": "2024-01-01T00:00:00.0000Z"}]}, []]
    send(machine, *values)
    assert client.message() == ("newMessage", values)


def test_a_message_to_a_user_reaches_all_and_only_their_connections(machine: Machine, connect: Connect) -> None:
    user = some_user()
    first, second, other = connect(user), connect(user), connect(some_user())
    send(machine, "for you", userId=user)
    barrier(machine)
    assert first.message() == second.message() == ("newMessage", ["for you"])
    assert other.message() == BARRIER


def test_a_message_to_a_connection_reaches_it_alone(machine: Machine, connect: Connect) -> None:
    user = some_user()
    first, second = connect(user), connect(user)
    send(machine, "for you", connectionId=first.connection_id)
    barrier(machine)
    assert first.message() == ("newMessage", ["for you"])
    assert second.message() == BARRIER


@pytest.mark.parametrize("excluded_from", ["everybody", "group"])
def test_an_excluded_connection_is_left_out(machine: Machine, connect: Connect, excluded_from: str) -> None:
    member, excluded = connect(some_user()), connect(some_user())
    group = some_user()
    for client in (member, excluded):
        accept(
            machine, "/hubs/chat/groups", {"action": "add", "groupName": group, "connectionId": client.connection_id}
        )
    to = {"groupName": group} if excluded_from == "group" else {}
    send(machine, "not for all", excluded=[excluded.connection_id], **to)
    barrier(machine)
    assert member.message() == ("newMessage", ["not for all"])
    assert excluded.message() == BARRIER


@pytest.mark.parametrize("by", ["connectionId", "userId"])
def test_a_message_to_a_group_reaches_its_members_until_they_leave(machine: Machine, connect: Connect, by: str) -> None:
    user, group = some_user(), some_user()
    member, other = connect(user), connect(some_user())
    who = {"connectionId": member.connection_id} if by == "connectionId" else {"userId": user}
    accept(machine, "/hubs/chat/groups", {"action": "add", "groupName": group, **who})
    send(machine, "inside", groupName=group)
    accept(machine, "/hubs/chat/groups", {"action": "remove", "groupName": group, **who})
    send(machine, "too late", groupName=group)
    barrier(machine)
    assert member.message() == ("newMessage", ["inside"])
    assert member.message() == BARRIER
    assert other.message() == BARRIER


def test_joins_and_messages_in_one_request_are_done_in_order(machine: Machine, connect: Connect) -> None:
    client, group = connect(some_user()), some_user()
    outputs = [
        {"action": "add", "groupName": group, "connectionId": client.connection_id},
        {"target": "newMessage", "arguments": ["welcome"], "groupName": group},
        {"action": "removeAll", "connectionId": client.connection_id},
        {"target": "newMessage", "arguments": ["too late"], "groupName": group},
    ]
    with machine.http() as http:
        response = http.post("/hubs/chat/outputs", json=outputs)
    assert response.status_code == 202, response.text
    assert [result["status"] for result in response.json()["results"]] == ["accepted"] * 4
    barrier(machine)
    assert client.message() == ("newMessage", ["welcome"])
    assert client.message() == BARRIER


@pytest.mark.parametrize("group", ["a/b%c +é", "?#&=", "\U0001f600"])
def test_a_group_may_have_any_name(machine: Machine, connect: Connect, group: str) -> None:
    client = connect(some_user())
    membership = path("groups", group, "connections", client.connection_id)
    with machine.http() as http:
        assert http.put(membership).status_code == 204
        assert http.get(path("groups", group)).json() == {"exists": True}
        send(machine, "inside", groupName=group)
        assert http.delete(membership).status_code == 204
        send(machine, "too late", groupName=group)
    barrier(machine)
    assert client.message() == ("newMessage", ["inside"])
    assert client.message() == BARRIER


def test_existence_is_told_of_connections_users_and_groups(machine: Machine, connect: Connect) -> None:
    user = some_user()
    client = connect(user)
    with machine.http() as http:
        assert http.get(path("connections", client.connection_id)).json() == {"exists": True}
        assert http.get(path("users", user)).json() == {"exists": True}
        absent = http.get(path("users", some_user()))
    assert (absent.status_code, absent.json()["code"], absent.json()["exists"]) == (404, "not-present", False)


# --- what a client calls


def test_invoke_returns_what_the_handler_returns(connect: Connect) -> None:
    client = connect(some_user())
    assert client.invoke("add", 1, 2) == 3
    assert client.invoke("ECHO", "é", {"Key": [None, 1.5]}) == ["é", {"Key": [None, 1.5]}]


def test_a_hub_error_rejects_with_its_text(connect: Connect) -> None:
    with pytest.raises(CallFailed) as failed:
        connect(some_user()).invoke("refuse", "Not on a Sunday.")
    assert str(failed.value) == "Not on a Sunday."


def test_any_other_error_rejects_with_the_general_sentence(connect: Connect) -> None:
    with pytest.raises(CallFailed) as failed:
        connect(some_user()).invoke("fail")
    assert str(failed.value) == "Method 'fail' failed."


@pytest.mark.parametrize("arguments", [[], ["one"], [1, "two"], [1, 2, 3]])
def test_arguments_that_do_not_fit_are_refused_without_their_values(connect: Connect, arguments: list[Any]) -> None:
    with pytest.raises(CallFailed) as failed:
        connect(some_user()).invoke("add", *arguments)
    assert "add" in str(failed.value)
    assert not re.search(r"\b(one|two)\b", str(failed.value))


def test_a_method_that_nobody_handles_is_an_error(connect: Connect) -> None:
    with pytest.raises(CallFailed):
        connect(some_user()).invoke("nobody")


def test_send_waits_for_no_result(connect: Connect) -> None:
    client = connect(some_user())
    client.send("note", "quietly")
    assert client.message() == ("noted", ["quietly"])


def test_a_failed_send_ends_nothing(connect: Connect) -> None:
    client = connect(some_user())
    client.send("fail")
    client.send("refuse", "no")
    assert client.invoke("add", 1, 2) == 3


def test_a_handler_reaches_the_others(machine: Machine, connect: Connect) -> None:
    user = some_user()
    caller, other = connect(user), connect(some_user())
    assert caller.invoke("relay", "hello") == "relayed"
    barrier(machine)
    assert other.message() == ("newMessage", [user, "hello"])
    assert caller.message() == BARRIER


# --- coming and going


def test_the_handler_hears_who_comes_and_who_goes(connect: Connect) -> None:
    observer = connect(some_user())
    observer.invoke("observe")
    user = some_user()
    client = connect(user)
    assert observer.message() == ("arrived", [user, client.connection_id])
    client.stop()
    assert observer.message() == ("left", [user, client.connection_id])


def test_a_rejected_client_is_closed(node: NodeClients, machine: Machine) -> None:
    client = node.client()
    with suppress(CallFailed):  # the end may come while the client still starts
        client.start(f"{machine.url}/hubs/chat?userId=banned")
        client.event("closed")
    with pytest.raises(CallFailed, match="Connected"):
        client.invoke("who")


def test_a_close_by_rest_ends_the_client(machine: Machine, connect: Connect) -> None:
    client = connect(some_user())
    with machine.http() as http:
        response = http.delete(path("connections", client.connection_id), params={"reason": "bye"})
    assert response.status_code == 204, response.text
    assert "bye" in client.event("closed")["error"]


@pytest.mark.parametrize("by", ["connectionId", "userId", "groupName"])
def test_a_close_among_outputs_ends_whom_it_names(machine: Machine, connect: Connect, by: str) -> None:
    user, group = some_user(), some_user()
    named, other = connect(user), connect(some_user())
    joins = {"action": "add", "groupName": group, "connectionId": named.connection_id}
    whom = {"connectionId": named.connection_id, "userId": user, "groupName": group}[by]
    with machine.http() as http:
        response = http.post("/hubs/chat/outputs", json=[joins, {"action": "close", by: whom, "reason": "bye"}])
    assert response.status_code == 202, response.text
    assert "bye" in named.event("closed")["error"]
    assert other.invoke("add", 1, 2) == 3


def test_a_client_that_reconnects_gets_a_new_connection(machine: Machine, connect: Connect) -> None:
    user = some_user()
    client = connect(user, reconnect=True)
    with machine.http() as http:
        response = http.post("/hubs/chat/outputs", json=[{"action": "close", "userId": user, "reason": "moving"}])
    assert response.status_code == 202, response.text
    client.event("reconnecting")
    assert client.event("reconnected")["connectionId"] not in {None, client.connection_id}
    assert client.invoke("who")["userId"] == user
