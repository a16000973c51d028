"""What is read in an app's code: destinations that may be empty, and the headers of a platform."""

from pathlib import Path

import pytest
from signalr_bridge.functions.source_hints import read_hints

EMPTY = [
    ("a.py", 'out.set(json.dumps({"userId": "", "target": "t"}))'),
    ("a.py", 'to = req.params.get("to", "")\nitem = {"userId": to, "target": "t"}'),
    ("a.py", 'item = dict(groupName="", target="t")'),
    ("a.py", 'item["connectionId"] = other or ""'),
    ("a/index.js", "let recipient = '';\nitems = [{ 'userId': recipient, 'target': 't' }];"),
    ("a/index.js", "return { userId: message.recipient || '', target: 't' };"),
    ("a/index.js", "return { target: 't', userId: to ? to : '' };"),
    ("src/a.ts", "const groupName: string = ``;\nsend({ groupName, target: 't' });"),
    ("a.go", 'type Message struct {\n\tUser string `json:"userId"`\n}'),
    ("a.go", 'to := ""\nitem := map[string]any{"userId": to}'),
    ("a.rs", 'json!({ "userId": "", "target": "t" })'),
]

NOT_EMPTY = [
    ("a.py", 'item = {"userId": "ann", "arguments": ["", ""]}'),
    ("a.py", '# item = {"userId": ""}'),
    ("a.py", 'item = {"groupName": group, "target": ""}'),
    ("a.py", 'if context["UserId"] == "": pass'),
    ("a.py", '@app.generic_input_binding(arg_name="i", type="signalRConnectionInfo", hubName="h", userId="")'),
    ("a.py", 'to = ""\n' + "\n" * 80 + 'item = {"userId": to}'),
    ("a/index.js", "if (context.userId === '') {}"),
    ("a.go", 'type Message struct {\n\tUser string `json:"userId,omitempty"`\n}'),
    ("a.go", 'var group string\ndecode(data, &group)\nitem["groupName"] = group'),
    ("node_modules/a/index.js", "x = { userId: '' }"),
    (".python_packages/a.py", 'x = {"userId": ""}'),
    ("content/chat.js", "let data = { userId: '' };"),
]


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(("name", "text"), EMPTY)
def test_a_destination_that_may_be_empty_is_seen(name: str, text: str, tmp_path: Path) -> None:
    found = read_hints(write(tmp_path, name, text)).empty_destinations
    assert {one.place.partition(":")[0] for one in found} == {name}


@pytest.mark.parametrize(("name", "text"), NOT_EMPTY)
def test_another_text_is_not(name: str, text: str, tmp_path: Path) -> None:
    assert read_hints(write(tmp_path, name, text)).empty_destinations == ()


@pytest.mark.parametrize(
    "text", ['req.headers.get("X-MS-CLIENT-PRINCIPAL-ID")', "userId: '{headers.x-ms-token-aad-id-token}'"]
)
def test_headers_of_a_platform_are_seen(text: str, tmp_path: Path) -> None:
    (found,) = read_hints(write(tmp_path, "a.py", f"\n{text}")).platform_headers
    assert found.place == "a.py:2"
    assert found.word in text.lower()
