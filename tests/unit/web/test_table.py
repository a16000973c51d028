"""The table: which route a path and a method lead to, and what a route must say."""

from typing import Any

import pytest
from signalr_bridge.web.callers import Right
from signalr_bridge.web.request import Request
from signalr_bridge.web.table import NOWHERE, Audience, Description, Route, Table
from signalr_bridge.wire.exchange import Answer


async def answer(request: Request) -> Answer:
    """Answers nothing."""
    return Answer(204)


def route(method: str, template: str, **more: Any) -> Route:
    given: dict[str, Any] = {"audience": Audience.ANYBODY, "description": Description(), "answer": answer}
    return Route(method, template, **{"operation": f"{method}{template}"} | given | more)


TABLE = Table(
    [
        route("GET", "/"),
        route("GET", "/hubs/{hub}"),
        route("GET", "/hubs/all"),
        route("GET", "/hubs/{hub}/groups/{groupName}"),
        route("DELETE", "/hubs/{hub}/groups/{groupName}"),
        route("PUT", "/hubs/{hub}/groups/{groupName}/users/{userId}"),
        route("GET", "/hubs/{hub}/users/{userId}"),
        route("POST", "/up", covers_below=True, audience=Audience.SERVICE),
    ]
)


@pytest.mark.parametrize(
    ("path", "template", "segments"),
    [
        ("/", "/", []),
        ("/hubs/chat", "/hubs/{hub}", ["chat"]),
        ("/hubs/all", "/hubs/all", []),
        ("/hubs//groups/g", "/hubs/{hub}/groups/{groupName}", ["", "g"]),
        ("/hubs/", "", []),
        ("/hubs/a%2Fb", "/hubs/{hub}", ["a%2Fb"]),
        ("/hubs/chat/groups/g", "/hubs/{hub}/groups/{groupName}", ["chat", "g"]),
        ("/hubs//groups/", "", []),
        ("/hubs/chat/groups/g/users/u", "/hubs/{hub}/groups/{groupName}/users/{userId}", ["chat", "g", "u"]),
        ("/hubs/groups/users/u", "/hubs/{hub}/users/{userId}", ["groups", "u"]),
        ("/up", "/up", []),
        ("/UP", "/up", []),
        ("/up/", "/up", []),
        ("/Up/x/{y}", "/up", []),
        ("/upper", "", []),
        ("/x/up", "", []),
        ("", "", []),
        ("//", "", []),
        ("/hubs", "", []),
        ("/HUBS/chat", "", []),
        ("/hubs/chat/", "", []),
        ("/hubs/chat/groups", "", []),
        ("/hubs/chat/groups/g/", "", []),
        ("/hubs/chat/rooms/g", "", []),
        ("*", "", []),
    ],
)
def test_a_path_leads_to_its_routes(path: str, template: str, segments: list[str]) -> None:
    for _ in range(2):
        found, values = TABLE.find(path)
        assert (found.template, list(values.values())) == (template, segments)
        assert list(values) == list(found.parameters)
        assert (found is NOWHERE) is (template == "")


def test_the_methods_of_a_path_are_those_of_all_its_routes() -> None:
    found, _ = TABLE.find("/hubs/chat/groups/g")
    assert found.allow == "GET, DELETE"
    assert found.routes["GET"] is TABLE.routes[3]
    assert set(found.routes) == {"GET", "DELETE"}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"audience": Audience.CALLERS}, "rights"),
        ({"audience": Audience.CLIENTS}, "rights"),
        ({"rights": frozenset({Right.READ})}, "rights"),
        ({"description": None}, "description"),
        ({"same_as": "another"}, "description"),
        ({"answer": None}, "nothing answers it"),
        ({"endpoint": answer}, "not both"),
        ({"method": "FETCH"}, "method"),
        ({"method": "post"}, "method"),
        ({"template": "hubs"}, "path"),
        ({"template": "/hubs/"}, "path"),
        ({"template": "/{hub"}, "path"),
        ({"template": "/{room}"}, "parameter"),
    ],
)
def test_a_route_that_says_too_little_is_named_at_the_start(wrong: dict[str, Any], reason: str) -> None:
    given = {"method": "POST", "template": "/x"} | wrong
    with pytest.raises(ValueError, match=reason) as caught:
        Table([route(**given)])
    assert str(caught.value).startswith(f"{given['method']} {given['template']}: ")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (route("GET", "/hubs/{hub}", operation="x"), "two routes"),
        (route("POST", "/y", operation="GET/hubs/{hub}"), "two routes"),
        (route("POST", "/hubs/{groupName}", operation="x"), "one name"),
        (route("POST", "/hubs/{hub}", audience=Audience.SERVICE), "one audience"),
    ],
)
def test_a_route_that_another_one_hides_is_named_at_the_start(other: Route, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Table([route("GET", "/hubs/{hub}"), other])


def test_what_is_kept_of_paths_is_bounded() -> None:
    table = Table([route("GET", "/hubs/{hub}")])
    kept = table.find("/hubs/chat")
    assert table.find("/hubs/chat") is kept
    longest = "/hubs/" + "a" * 250
    assert table.find(longest) is table.find(longest)
    assert table.find(longest + "a") is not table.find(longest + "a"), "and equal all the same"
    assert table.find("/x") is not table.find("/x"), "anybody can ask for what is not there"
    for number in range(1024):
        table.find(f"/hubs/{number}")
    assert table.find("/hubs/chat") is not kept
    assert table.find("/hubs/chat") == kept
