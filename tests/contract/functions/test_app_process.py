"""The process that loads an app: what it sees of ours, and how one ends that does not behave."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions import app_process
from signalr_bridge.functions.app_process import AppProcess, Printed

CANARY = "canary-5b11-canary"


def run(code: str, folder: Path, values: Mapping[str, str] | None = None, seconds: float = 20) -> Printed:
    return AppProcess(folder, values or {}, seconds).run([sys.executable, "-c", code])


def test_it_sees_the_app_s_settings_and_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BRIDGE_CALLERS__KEYS", "AzureSignalRConnectionString", "AZURE_CLIENT_SECRET", "PYTHONPATH", "MINE"):
        monkeypatch.setenv(name, CANARY)
    code = "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"
    folder, seen = json.loads(run(code, tmp_path, {"CHAT_HUB": "chat", "PATH": "/nowhere", "a\nb": "c"}).output)
    assert folder == str(tmp_path)
    assert CANARY not in seen.values()
    assert {"CHAT_HUB", "PATH", "a\nb"} <= set(seen) <= {"CHAT_HUB", "a\nb", *app_process.KEPT, "LC_CTYPE"}
    assert (seen["CHAT_HUB"], seen["PATH"]) == ("chat", os.environ["PATH"])


def test_what_it_prints_is_kept_and_what_it_complains_of_to_a_bound(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write('e' * 200_000); print('list'); sys.exit(3)"
    printed = run(code, tmp_path)
    assert (printed.code, printed.output, printed.complaints) == (3, b"list\n", b"e" * 65_536)
    assert "list" not in repr(printed)


@pytest.mark.parametrize("code", ["import time; time.sleep(600)", "import os, time; os.close(1); time.sleep(600)"])
def test_one_that_goes_on_is_ended(code: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"The app cannot be loaded within 0\.3 s"):
        run(code, tmp_path, seconds=0.3)


def test_one_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="its list has more than 4194304 bytes"):
        run("while True: print('x' * 65536)", tmp_path)


def test_what_it_has_started_is_ended_with_it(tmp_path: Path) -> None:
    code = "import os, time\nchild = os.fork()\nif child == 0:\n    time.sleep(600)\nprint(child)"
    child = int(run(code, tmp_path).output)
    for _ in range(500):  # it is killed, and the kernel takes a moment
        if not is_running(child):
            return
        time.sleep(0.01)
    pytest.fail("it goes on")


def is_running(pid: int) -> bool:
    """Whether a process runs. One that has ended may not have been waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="its process cannot be started"):
        AppProcess(tmp_path, {}).run([str(tmp_path / "gone")])
    with pytest.raises(SettingsError, match="its process cannot be started"):
        AppProcess(tmp_path, {"a": "b\0c"}).run([sys.executable, "-c", ""])
