"""Route templates and constraints as Microsoft's page "Routing in ASP.NET Core" has them in its tables."""

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.route_template import parse_template, split_path


def match(template: str, path: str) -> dict[str, str] | None:
    return parse_template(template, "f").match(split_path(path))


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("hello", "/hello", {}),
        ("{Page=Home}", "/", {"Page": "Home"}),
        ("{Page=Home}", "/Contact", {"Page": "Contact"}),
        ("{controller}/{action}/{id?}", "/Products/List", {"controller": "Products", "action": "List"}),
        (
            "{controller}/{action}/{id?}",
            "/Products/Details/123",
            {"controller": "Products", "action": "Details", "id": "123"},
        ),
        ("{controller=Home}/{action=Index}/{id?}", "/", {"controller": "Home", "action": "Index"}),
        ("{controller=Home}/{action=Index}/{id?}", "/Products", {"controller": "Products", "action": "Index"}),
        ("blog/{*slug}", "/blog", {}),
        ("blog/{*slug}", "/blog/a/b", {"slug": "a/b"}),
        ("blog/{**slug}", "/Blog/a%2Fb%20c/", {"slug": "a/b c/"}),
        ("blog/{article:minlength(10)}", "/blog/short", None),
        ("blog/{article:minlength(10)}", "/blog/long-enough", {"article": "long-enough"}),
        ("files/{filename}.{ext?}", "/files/myFile.txt", {"filename": "myFile", "ext": "txt"}),
        ("files/{filename}.{ext?}", "/files/myFile", {"filename": "myFile"}),
        ("a{b}c{d}", "/abcd", {"b": "b", "d": "d"}),
        ("{a}-{b}", "/1-2-3", {"a": "1-2", "b": "3"}),
        ("{a}-{b}", "/-", None),
        ("x{a}", "/x", None),
        ("v{n:int}", "/v7", {"n": "7"}),
        ("v{n:int}", "/vx", None),
        ("{{a}}/{b}", "/%7Ba%7D/1", {"b": "1"}),
        ("products/{category:alpha}/{id:int?}", "/products/electronics", {"category": "electronics"}),
        ("products/{category:alpha}/{id:int?}", "/products/electronics/x", None),
        ("a/b", "/a", None),
        ("a", "/a/", {}),
        ("a", "/a//", None),
        ("a/{x}", "/a/", None),
        ("a/{x?}", "/a/", {}),
        ("a/{x}", "/a/%FF", {"x": "\ufffd"}),
        ("caf\u00e9", "/CAF%C3%89", {}),
    ],
)
def test_matching(template: str, path: str, values: dict[str, str] | None) -> None:
    assert match(template, path) == values


CONSTRAINTS = [
    ("int", ["123456789", "-123456789", "2147483647"], ["2147483648", "1.0", "x", "\u0661"]),
    ("bool", ["true", "FALSE"], ["1", "yes"]),
    ("datetime", ["2016-12-31", "2016-12-31%207:32pm", "2016-12-31T07:32:00Z", "12%2F31%2F2016"], ["2016-13-31", "x"]),
    ("decimal", ["49.99", "-1,000.01", ".5"], ["1e3", "x", "."]),
    ("double", ["1.234", "-1,001.01e8", "1e3"], ["x", "e8"]),
    ("float", ["1.234", "-1,001.01e8"], ["--1"]),
    (
        "guid",
        ["CD2C1638-1638-72D5-1638-DEADBEEF1638", "{CD2C1638-1638-72D5-1638-DEADBEEF1638}"],
        ["CD2C1638-1638", "{CD2C1638-1638-72D5-1638-DEADBEEF1638"],
    ),
    ("long", ["123456789", "-123456789", "9223372036854775807"], ["9223372036854775808", "9" * 5000]),
    ("minlength(4)", ["Rick"], ["Ann"]),
    ("maxlength(8)", ["MyFile"], ["MyLongFile"]),
    ("length(12)", ["somefile.txt"], ["file.txt"]),
    ("length(8,16)", ["somefile.txt"], ["a.txt", "a" * 17]),
    ("min(18)", ["19", "18"], ["17", "x"]),
    ("max(120)", ["91", "-5"], ["121"]),
    ("range(18,120)", ["91"], ["17", "121"]),
    ("alpha", ["Rick"], ["Rick1", "\u00e9"]),
    (r"regex(^\\d{{3}}-\\d{{2}}-\\d{{4}}$)".replace("\\\\", "\\"), ["123-45-6789"], ["12-345-6789"]),
    ("regex(^(a|B):=c$)", ["a:=c", "b:=C"], ["c:=c"]),
    ("required", ["Rick"], []),
    ("int:min(5):max(6)", ["5", "6"], ["4", "7"]),
]


@pytest.mark.parametrize(("constraint", "taken", "refused"), CONSTRAINTS, ids=[one[0] for one in CONSTRAINTS])
def test_constraints(constraint: str, taken: list[str], refused: list[str]) -> None:
    template = f"x/{{v:{constraint}}}"
    assert [one for one in taken if match(template, f"/x/{one}") is None] == []
    assert [one for one in refused if match(template, f"/x/{one}") is not None] == []


def test_what_says_more_comes_first() -> None:
    texts = ["a/b", "a/{x:int}", "a/{x}", "a/{*x:int}", "a/{*x}", "{y}/b", "{*x}"]
    templates = [parse_template(one, "f") for one in texts]
    ranks = [one.precedence for one in templates]
    assert ranks == sorted(set(ranks))
    assert parse_template("a/v{x}", "f").precedence == templates[1].precedence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{a", "a brace is not closed"),
        ("a}", "stands outside of a parameter"),
        ("a?", "stands outside of a parameter"),
        ("{}", "a parameter is not understood"),
        ("{a b}", "a parameter is not understood"),
        ("{a}{b}", "a parameter follows {a} at once"),
        ("{a}/{A}", "the parameter {a} stands twice"),
        ("{*a}/b", "put it at the end"),
        ("x{*a}", "put it at the end"),
        ("{*a?}", "leave out the '?'"),
        ("x{a=1}", "has a default"),
        ("{a?}.txt", "is optional"),
        ("{a}-{b?}", "is optional"),
        ("a//b", "is empty"),
        ("~/a", "leave it out"),
        ("{a:integer}", "the constraint ':integer' is not understood"),
        ("{a:min}", "the constraint ':min' is not understood"),
        ("{a:range(1)}", "the constraint ':range' is not understood"),
        ("{a:length(x)}", "the constraint ':length' is not understood"),
        ("{a:int()}", "the constraint ':int' is not understood"),
        ("{a:regex([)}", "not a regular expression"),
    ],
)
def test_what_is_not_a_template(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_template(text, "The function f")
    assert raised.value.detail.startswith("The function f: in the route, ")
    assert said in raised.value.detail


def test_a_hostile_path_takes_no_time() -> None:
    """Each part of a segment is looked for once, so there is nothing to try again and again."""
    template = parse_template("{a}-{b}-{c}-{d}x", "f")
    assert template.match(["-" * 32_000]) is None
