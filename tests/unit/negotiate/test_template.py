"""Templates: what a placeholder means, and when it names nobody."""

import pytest
from signalr_bridge.errors import BadToken, SettingsError
from signalr_bridge.negotiate.identity import group_values
from signalr_bridge.negotiate.rules import Template, TemplateValues, parse_template

Pairs = list[tuple[str, str]]


def sources(query: Pairs | None = None, headers: Pairs | None = None, **claims: list[str]) -> TemplateValues:
    return {"query": group_values(query or []), "headers": group_values(headers or []), "claims": claims}


@pytest.mark.parametrize(
    ("template", "given", "text"),
    [
        ("{query.userId}", sources([("userId", "ann")]), "ann"),
        ("{query.USERID}", sources([("userid", "ann")]), "ann"),
        ("{headers.x-user}", sources(headers=[("X-User", "ann")]), "ann"),
        ("{claims.sub}", sources(sub=["ann"]), "ann"),
        ("{claims.oid}@{claims.tid}", sources(oid=["o"], tid=["t"]), "o@t"),
        ("team-{query.t}:{headers.x-u}!", sources([("t", "1")], [("x-u", "{query.t}")]), "team-1:{query.t}!"),
        ("fixed", sources(), "fixed"),
        ("{query.u}", sources([("u", "a"), ("v", "b"), ("v", "c")]), "a"),
    ],
)
def test_a_template_is_filled(template: str, given: TemplateValues, text: str) -> None:
    assert parse_template(template, setting="X").fill(given) == text


def test_a_claim_s_name_is_matched_to_the_letter() -> None:
    name = "http://schemas.example/claims/name"
    assert Template(f"{{claims.{name}}}").fill({"claims": {name: ["ann"]}}) == "ann"
    with pytest.raises(BadToken):
        Template("{claims.Sub}").fill(sources(sub=["ann"]))


@pytest.mark.parametrize(
    ("template", "given"),
    [
        ("{query.u}", sources()),
        ("{query.u}", sources([("u", "")])),
        ("{query.u}", sources([("u", "a"), ("u", "b")])),
        ("{query.u}", sources([("u", "a"), ("U", "a")])),
        ("{query.u}", sources(headers=[("u", "a")])),
        ("{headers.u}", sources([("u", "a")])),
        ("{claims.u}", sources([("u", "a")], [("u", "a")])),
        ("{claims.u}", sources(u=[])),
        ("{claims.u}", sources(u=["a", "b"])),
        ("{claims.u}", {"query": {}, "headers": {}}),
    ],
)
def test_a_placeholder_that_is_absent_empty_or_repeated(template: str, given: TemplateValues) -> None:
    with pytest.raises(BadToken):
        Template(template).fill(given)


def test_in_development_an_absent_one_names_nobody() -> None:
    assert Template("{query.u}", optional=True).fill(sources()) is None
    with pytest.raises(BadToken):
        Template("{query.u}", optional=True).fill(sources([("u", "a"), ("u", "b")]))


@pytest.mark.parametrize(
    "text",
    ["{query.x", "query.x}", "{claim.x}", "{query}", "{query.}", "{claims.}", "{ query.x }", "{}", "{{query.x}}"],
)
def test_a_placeholder_that_means_nothing(text: str) -> None:
    with pytest.raises(SettingsError, match="BRIDGE_NEGOTIATE__USER_ID"):
        parse_template(text, setting="BRIDGE_NEGOTIATE__USER_ID")


def test_a_template_is_kept_as_it_is() -> None:
    assert parse_template("a{query.x}b", setting="X", optional=True) == Template("a{query.x}b", True)
