"""Binding expressions: the table of Microsoft's page on them, what cannot stand there, and what a call lacks."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from signalr_bridge.errors import BadToken, SettingsError
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.binding_data import gather
from signalr_bridge.functions.description import FunctionDescription, read_description
from signalr_bridge.functions.expressions import BindingData, parse, resolve_settings
from signalr_bridge.functions.invocation import HttpCall, TimerCall

# The moment and the GUID of Microsoft's page "Azure Functions binding expression patterns".
MOMENT = datetime(2018, 2, 16, 17, 59, 55, 123456, UTC)
GUID = "50710cb5-84b9-4d87-9d83-a03d6976a682"
CALL = HttpCall(
    "POST",
    "https://bridge/api/rooms/Blue",
    "/api/rooms/Blue",
    {"Name": ["Mathew Charles"], "twice": ["a", "b"], "room": ["from the query"], "empty": [""]},
    {"x-ms-client-principal-id": ["ann"], "x-room": ["a", "b"], "accept": ["text/html"]},
    {"room": "Blue"},
    b'{"Test": "testing", "baz": 123, "yes": true, "none": null, "name": "from the body", "room": "from the body",'
    b' "nestedArray": [{"nesting": "yes"}], "BlobName": {"FileName": "HelloWorld", "Extension": "txt"}}',
    ["Bearer token"],
)


def request(call: HttpCall = CALL) -> BindingData:
    return gather("Negotiate", MOMENT, GUID, call, {})


@pytest.mark.parametrize(
    ("written", "filled"),
    [
        ("plain", "plain"),
        ("my-output-container/{rand-guid}.txt", f"my-output-container/{GUID}.txt"),
        ("{RAND-GUID:N}", "50710cb584b94d879d83a03d6976a682"),
        ("{rand-guid:d}", GUID),
        ("{rand-guid:B}", f"{{{GUID}}}"),
        ("{rand-guid:P}", f"({GUID})"),
        ("{sys.RandGuid}", GUID),
        ("my-output-container/{DateTime}.txt", "my-output-container/2018-02-16T17-59-55Z.txt"),
        ("{datetime:yyyy}/{datetime:MM}/{datetime:dd}", "2018/02/16"),
        ("{datetime:yyyy-MM-ddTHH-mm-ss}", "2018-02-16T17-59-55"),
        ("{datetime:HH:mm:ss}", "17:59:55"),
        ("{datetime:ddd d MMM yy h:mm tt}", "Fri 16 Feb 18 5:59 PM"),
        ("{datetime:dddd, MMMM}", "Friday, February"),
        ("{datetime:s.fffffff}", "55.1234560"),
        ("{datetime:ss.fffZ}", "55.123Z"),
        ("{datetime:o}", "2018-02-16T17:59:55.1234560Z"),
        ("{datetime:s}", "2018-02-16T17:59:55"),
        ("{datetime:u}", "2018-02-16 17:59:55Z"),
        ("{datetime:R}", "Fri, 16 Feb 2018 17:59:55 GMT"),
        ("{datetime:yyyy'year'}", "2018year"),
        ("{datetime:yyyy-MM-ddzzz}", "2018-02-16+00:00"),
        ("{sys.utcnow}", "2018-02-16T17-59-55Z"),
        ("{sys.utcnow:yyyy}", "2018"),
        ("{sys.methodname}", "Negotiate"),
        ("{headers.x-ms-client-principal-id}", "ann"),
        ("{Headers.X-MS-CLIENT-PRINCIPAL-ID}", "ann"),
        ("{headers.Authorization}", "Bearer token"),
        ("{Query.name}", "Mathew Charles"),
        ("{ query.NAME }", "Mathew Charles"),
        ("{room}", "Blue"),
        ("{ROOM}", "Blue"),
        ("{name}", "Mathew Charles"),
        ("{test}-{baz}", "testing-123"),
        ("{yes}", "True"),
        ("strings/{BlobName.FileName}.{BlobName.Extension}", "strings/HelloWorld.txt"),
    ],
)
def test_what_stands_for_what(written: str, filled: str) -> None:
    assert parse(written).fill(request()) == filled


@pytest.mark.parametrize(
    "written",
    [
        *("{headers.absent}", "{headers.x-room}", "{query.twice}", "{query.empty}", "{claims.sub}", "{absent}"),
        *("{twice}", "{none}", "{nestedArray}", "{BlobName}", "{BlobName.Absent}", "{test.deeper}", "{empty}"),
    ],
)
def test_what_is_absent_empty_or_repeated(written: str) -> None:
    with pytest.raises(BadToken):
        parse(written).fill(request())


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"{", b'{"a": "\xff"}', b"a=b"])
def test_a_body_that_is_no_object_names_nothing(body: bytes) -> None:
    with pytest.raises(BadToken):
        parse("{a}").fill(request(HttpCall("POST", "u", "p", body=body)))


@pytest.mark.parametrize(
    "written",
    [
        *("{", "}", "a{b", "{a}}", "{{a}}", "{}", "{ }", "{a b}", "{a:N}", "{a..b}", "{1}", "{.a}", "{sys.absent}"),
        *("{sys}", "{headers}:x{", "{rand-guid:X}", "{rand-guid:text}", "{datetime:q}", "{datetime:yyyyy}"),
        *("{datetime:g}", "{datetime:gg}", "{datetime:F}", "{datetime:%d}", "{datetime:'}", "{datetime:ffffffff}"),
        "{sys.methodname:N}",
    ],
)
def test_what_is_no_expression(written: str) -> None:
    with pytest.raises(SettingsError):
        parse(written)


def test_what_a_trigger_names_counts_before_the_time() -> None:
    data = gather("f", MOMENT, GUID, HttpCall("GET", "u", "p", route={"datetime": "now"}), {})
    assert parse("{datetime}", ["DateTime"]).fill(data) == "now"
    assert parse("{datetime}").fill(data) == "2018-02-16T17-59-55Z"


def test_a_timer_brings_nothing() -> None:
    data = gather("tick", MOMENT, GUID, TimerCall(False, None, None, MOMENT), {})
    assert parse("{sys.methodname}").fill(data) == "tick"
    for written in ("{a}", "{headers.a}", "{query.a}", "{claims.a}"):
        with pytest.raises(BadToken):
            parse(written).fill(data)


def test_what_a_call_brings_is_not_shown() -> None:
    assert "token" not in repr(request())
    assert "canary" not in repr(parse("canary{a}"))


def describe(**properties: Any) -> FunctionDescription:
    binding = {"name": "info", "type": "signalRConnectionInfo", **properties}
    other = {"name": "q", "type": "queue", "direction": "out", "queueName": "%absent%"}
    return read_description({"bindings": [binding, other]}, "negotiate", "negotiate/function.json")


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ("%Hub%", "chat"),
        ("%HUB%", "chat"),
        ("my%hub%", "mychat"),
        ("%Azure__Hub%", "nested"),
        ("%azure:hub%", "nested"),
        ("%template%", "{headers.x}"),
        ("100%", "100%"),
        ("a%20b%20c", "a%20b%20c"),
    ],
)
def test_app_settings(written: str, resolved: str) -> None:
    settings = AppSettings({"Hub": "chat", "Azure:Hub": "nested", "template": "{headers.x}"})
    found = resolve_settings(describe(hubName=written, connectionStringSetting="%Hub%"), settings).bindings
    assert (found[0].text("hubName"), found[0].text("connectionStringSetting")) == (resolved, "%Hub%")
    assert found[1].text("queueName") == "%absent%", "bindings that do not work here stay as they are"


def test_an_app_setting_that_is_missing() -> None:
    with pytest.raises(SettingsError, match=re.escape("negotiate.info.hubName (negotiate/function.json): %Absent%")):
        resolve_settings(describe(hubName="%Absent%"), AppSettings({}))
