"""What admits a client, and what names it."""

from collections.abc import Sequence

import pytest

from app.errors import Forbidden, SettingsError, Unauthenticated
from app.negotiate.identity import ClientRules, group_values
from app.negotiate.negotiator import Admission
from app.negotiate.template import Sources, Template, parse_template

NOBODY: Sources = {"query": {}, "headers": {}}


def rules(
    *, anonymous: bool = True, template: str | None = None, hubs: Sequence[str] = ("chat",), optional: bool = False
) -> ClientRules:
    parsed = None if template is None else Template(template, optional)
    defaults = Admission(lifetime_seconds=60, close_on_expiry=True, endpoint="never", user_id="never")
    return ClientRules(anonymous=anonymous, template=parsed, hubs=hubs, defaults=defaults)


def test_anonymous_clients_are_admitted_where_the_settings_say_so() -> None:
    assert rules().admit("chat", NOBODY) == Admission(lifetime_seconds=60, close_on_expiry=True)


@pytest.mark.parametrize("hub", ["chat", "internal"])
def test_else_nobody_is_whatever_the_hub(hub: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        rules(anonymous=False).admit(hub, NOBODY)
    assert "WWW-Authenticate" in caught.value.headers


@pytest.mark.parametrize(
    ("hubs", "hub", "admitted"),
    [
        (["chat"], "chat", True),
        (["Chat"], "chat", True),
        (["*"], "anything", True),
        (["chat", "*"], "internal", True),
        (["chat"], "internal", False),
        ([], "chat", False),
    ],
)
def test_only_hubs_that_are_named(hubs: list[str], hub: str, admitted: bool) -> None:
    if admitted:
        rules(hubs=hubs).admit(hub, NOBODY)
    else:
        with pytest.raises(Forbidden):
            rules(hubs=hubs).admit(hub, NOBODY)


def sources(query: Sequence[tuple[str, str]] = (), headers: Sequence[tuple[str, str]] = ()) -> Sources:
    return {"query": group_values(query), "headers": group_values(headers)}


@pytest.mark.parametrize(
    ("template", "given", "user"),
    [
        ("{query.userId}", sources([("userId", "ann")]), "ann"),
        ("{query.USERID}", sources([("userid", "ann")]), "ann"),
        ("{headers.x-user}", sources(headers=[("X-User", "ann")]), "ann"),
        ("team-{query.t}:{headers.x-u}!", sources([("t", "1")], [("x-u", "{query.t}")]), "team-1:{query.t}!"),
        ("fixed", NOBODY, "fixed"),
        ("{query.u}", sources([("u", "a"), ("v", "b"), ("v", "c")]), "a"),
    ],
)
def test_a_template_names_the_client(template: str, given: Sources, user: str) -> None:
    assert rules(template=template).admit("chat", given).user_id == user


@pytest.mark.parametrize(
    "given",
    [
        NOBODY,
        sources([("u", "")]),
        sources([("u", "a"), ("u", "b")]),
        sources([("u", "a"), ("U", "a")]),
        sources(headers=[("u", "a")]),
    ],
)
def test_a_placeholder_that_is_absent_empty_or_repeated(given: Sources) -> None:
    with pytest.raises(Unauthenticated) as caught:
        rules(template="{query.u}").admit("chat", given)
    assert "WWW-Authenticate" in caught.value.headers


def test_in_development_an_absent_one_names_nobody() -> None:
    assert rules(template="{query.u}", optional=True).admit("chat", NOBODY).user_id is None
    with pytest.raises(Unauthenticated):
        rules(template="{query.u}", optional=True).admit("chat", sources([("u", "a"), ("u", "b")]))


def test_a_template_never_admits() -> None:
    with pytest.raises(Unauthenticated):
        rules(anonymous=False, template="fixed").admit("chat", NOBODY)


@pytest.mark.parametrize(
    "text", ["{query.x", "query.x}", "{claims.x}", "{query}", "{query.}", "{ query.x }", "{}", "{{query.x}}"]
)
def test_a_placeholder_that_means_nothing(text: str) -> None:
    with pytest.raises(SettingsError, match="BRIDGE_NEGOTIATE__USER_ID"):
        parse_template(text, setting="BRIDGE_NEGOTIATE__USER_ID")


def test_a_template_is_kept_as_it_is() -> None:
    assert parse_template("a{query.x}b", setting="X", optional=True) == Template("a{query.x}b", True)
