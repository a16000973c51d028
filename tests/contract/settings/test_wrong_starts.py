"""Every mistake at the start gets one line that names the setting, its place and what to write, and never a value."""

import json
import os
import re
from pathlib import Path

import pytest
from signalr_bridge.__main__ import cli
from signalr_bridge.errors import SettingsError

from tests.contract.settings.wrong_starts import (
    EMULATOR,
    ERROR,
    GOOD,
    KEY,
    SECRET,
    SEVERAL,
    STRING,
    WRONG_STARTS,
    WrongStart,
    write_table,
)
from tests.e2e.processes import ROOT, clean_environment

VALUES = [KEY, "c2VjcmV0LWtleS1vZi10aGUtdGVzdHM", SECRET, "fifteen-letters", "pass phrase", EMULATOR[-52:-13]]
"""What no line may hold."""
WHAT_TO_DO = (
    r"(?i)\b(write|set|did you mean|add|remove|keep|copy|rename|make|put|give|save|name one|is it|such as|"
    r"begins with a letter)(?!\w)"
)


pytestmark = pytest.mark.usefixtures("own_logging")


def lay_out(one: WrongStart, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment and the file of a mistake. What is good listens on a free port of this machine."""
    given = {"BRIDGE_HOST": "127.0.0.1", "BRIDGE_PORT": "0", **GOOD, **one.given}
    if one.file:
        text = one.text if isinstance(one.text, bytes) else one.text.encode()
        (folder / one.file).write_bytes(text)
        given["BRIDGE_SETTINGS_FILE"] = str(folder / one.file)
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)


def run(*arguments: str) -> int:
    """The exit code of a command. Raises what ``main`` prints."""
    try:
        cli([*arguments], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("one", WRONG_STARTS, ids=lambda one: one.what)
def test_each_has_its_line(
    one: WrongStart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(one, tmp_path, monkeypatch)
    code = run("check")
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert f"{one.level}: {one.line}" in lines
    assert len(lines) == 1 + one.also, "nothing else is wrong"
    assert code == (0 if one.level == "warning" else 1)
    wrong = sum(not line.startswith("warning: ") for line in lines)
    assert said.out.splitlines()[-1] == {0: "good", 1: "1 mistake"}.get(wrong, f"{wrong} mistakes")
    assert [value for value in VALUES if value in said.err + said.out] == []
    if one.level == ERROR:
        with pytest.raises(SettingsError) as refusal:
            run("serve")
        assert one.line in refusal.value.detail.splitlines()


@pytest.mark.parametrize("what", SEVERAL)
def test_several_are_said_in_one_run(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given, lines = SEVERAL[what]
    lay_out(WrongStart(what, "", given), tmp_path, monkeypatch)
    assert run("check") == 1
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning: ")]
    assert sorted(said) == [f"mistake: {line}" for line in lines]
    with pytest.raises(SettingsError) as refusal:
        run("serve")
    assert sorted(refusal.value.detail.splitlines()) == lines


def test_the_lines_name_setting_place_and_what_to_write() -> None:
    assert len(WRONG_STARTS) >= 32
    for one in WRONG_STARTS:
        setting, place = re.match(r"([\w:]+)(?: \(([^)]+)\))?: ", one.line).groups()  # type: ignore[union-attr]
        assert setting, one.line
        assert place or setting == "Elsewhere", one.line
        assert "\n" not in one.line
        assert re.search(WHAT_TO_DO, one.line), one.line


def test_programs_get_the_place_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(next(one for one in WRONG_STARTS if one.what == "broken TOML: a colon"), tmp_path, monkeypatch)
    assert run("check", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["settings"], len(report["findings"])) == (False, [], 1)
    assert report["findings"][0] == {
        "level": "mistake",
        "setting": "BRIDGE_SETTINGS_FILE",
        "text": 'is not well-formed TOML: write name = "value".',
        "place": "bridge.toml",
        "line": 2,
    }


def test_the_page_shows_these_lines() -> None:
    assert write_table() in (ROOT / "docs/settings.md").read_text("utf-8")


def test_what_is_good_is_said_to_be_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"BRIDGE_SERVICE_HOST": "10.0.0.9", "BRIDGE_PORT_8080_TCP_ADDR": "10.0.0.9", "BRIDGE_SERVICE_PORT": "80"}
    given |= {"BRIDGE_PORT": "tcp://10.0.0.9:80", "AzureSignalRConnectionString": f" {STRING}\n"}
    lay_out(WrongStart("nothing", "", given), tmp_path, monkeypatch)
    assert run("check") == 0
    said = capsys.readouterr()
    assert (said.err, said.out.splitlines()[-1]) == ("", "good")
