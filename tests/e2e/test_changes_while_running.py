"""A bridge follows its file while it runs: keys rotate, nothing opens, and no file can hang it."""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import msgspec
import pytest
from signalr_bridge.protocol.upstream_event import sign

from tests.e2e.processes import (
    EMULATOR_KEY,
    Process,
    app_command,
    bridge_settings,
    connection_string,
    eventually,
    free_port,
    run_emulator,
    wait_until_answered,
)

ORDERS, OPERATOR, ROTATED, UNKNOWN = (f"{name}-0123456789abcdef" for name in ("orders", "operator", "rotated", "new"))
FILE = """
[callers]
[[callers.keys]]
key = "{orders}"
name = "orders"
hubs = ["orders"]
rights = ["connections"]
[[callers.keys]]
key = "{operator}"
name = "operator"
[negotiate]
anonymous = true
hubs = [{hubs}]
[upstream]
code = "secret-of-the-address"
"""
WHOLE = FILE.format(orders=ORDERS, operator=OPERATOR, hubs='"orders"')
CUT = WHOLE[: WHOLE.index("name =")]
NEXT = FILE.format(orders=ORDERS, operator=ROTATED, hubs='"orders", "vault"') + (
    f'[[callers.keys]]\nkey = "{UNKNOWN}"\nname = "new"\nhubs = ["orders"]\n'
)


class Bridge:
    """The process, its file, and those who call it."""

    def __init__(self, process: Process, file: Path, url: str) -> None:
        self.process, self.file, self._url = process, file, url

    def write(self, text: str) -> None:
        """As somebody does it who begins at the front and may be stopped at any byte."""
        self.file.unlink()
        self.file.write_text(text)

    def close(self, hub: str, key: str) -> int:
        """The status of a caller who closes all connections of a hub."""
        return self._ask("DELETE", f"/hubs/{hub}/connections?confirm=all", {"X-API-Key": key})

    def deliver(self, code: str = "") -> int:
        """The status of an event that is signed as the service does it."""
        headers = {
            "X-ASRS-Hub": "orders",
            "X-ASRS-Category": "connections",
            "X-ASRS-Event": "connected",
            "X-ASRS-Connection-Id": "c1",
            "X-ASRS-Signature": sign("c1", EMULATOR_KEY),
            "Content-Type": "application/json",
        }
        return self._ask("POST", f"/upstream?code={code}" if code else "/upstream", headers)

    def negotiate(self, hub: str) -> int:
        return self._ask("POST", f"/hubs/{hub}/negotiate")

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> int:
        return httpx.request(method, self._url + path, headers=headers, trust_env=False, timeout=10).status_code

    def logged(self, message: str, words: str = "") -> Mapping[str, str]:
        """The first line of the log with this message that holds these words, waited for."""
        return msgspec.json.decode(
            self.process.wait_for_line(rf'^{{"message":"{message}".*{words}.*}}$')[0], type=dict[str, str]
        )

    def hang_up(self) -> None:
        os.kill(self.process.pid, signal.SIGHUP)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    file, port, emulator_port = tmp_path / "bridge.toml", free_port(), free_port()
    file.write_text(WHOLE)
    settings = bridge_settings(emulator_port) | {"BRIDGE_SETTINGS_FILE": str(file), "BRIDGE_LOG_FORMAT": "json"}
    del settings["BRIDGE_CALLERS__KEYS"]
    url = f"http://127.0.0.1:{port}"
    with (
        run_emulator(emulator_port, f"{url}/upstream"),
        Process("bridge", app_command("serve", "--port", str(port)), settings) as process,
    ):
        wait_until_answered(process, f"{url}/health/live")
        yield Bridge(process, file, url)


def test_nothing_opens_keys_rotate_and_no_file_hangs(bridge: Bridge) -> None:
    assert [bridge.close(hub, ORDERS) for hub in ("orders", "vault")] == [204, 403]
    assert [bridge.close(hub, OPERATOR) for hub in ("orders", "vault")] == [204, 204]
    assert [bridge.deliver(), bridge.deliver("secret-of-the-address")] == [401, 200]

    bridge.write(CUT)
    opening = bridge.logged("settings refused that would open something, they wait for a restart")
    assert opening["level"] == "warning"
    assert "BRIDGE_CALLERS__KEYS" in opening["settings"]
    assert "BRIDGE_UPSTREAM__CODE" in opening["settings"]
    bridge.logged("audit", '"result":"taken"')
    assert [bridge.close("vault", ORDERS), bridge.close("vault", OPERATOR), bridge.deliver()] == [403, 401, 401]
    assert bridge.deliver("secret-of-the-address") == 200

    bridge.write(WHOLE)
    eventually(lambda: bridge.close("vault", OPERATOR) == 204 or None, "the key that the file had lost")

    bridge.write(NEXT)
    bridge.hang_up()
    bridge.logged("asked to read the settings again")
    eventually(lambda: bridge.close("vault", ROTATED) == 204 or None, "the new key of the same name")
    assert [bridge.close("orders", key) for key in (OPERATOR, UNKNOWN)] == [401, 401]
    assert [bridge.negotiate(hub) == 200 for hub in ("orders", "vault")] == [True, False]
    bridge.logged("settings changed that wait for a restart", "BRIDGE_NEGOTIATE__HUBS")
    bridge.logged("audit", "the key 'new' is new.*refused until a restart")

    bridge.file.unlink()
    os.mkfifo(bridge.file)
    bridge.logged("settings refused, the old ones stay", "it is a pipe or a device")
    bridge.hang_up()
    bridge.write(
        NEXT.replace(
            f'key = "{UNKNOWN}"', f'sha256 = "{"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"'
        )
    )
    bridge.logged("audit", 'the sha256 is that of an empty text.*"result":"refused"')
    assert [bridge.close("vault", key) for key in (ROTATED, "")] == [204, 401]

    output = bridge.process.output
    assert not any(secret in output for secret in (ORDERS, OPERATOR, ROTATED, UNKNOWN, "secret-of-the-address"))
    assert bridge.process.stop() == 0


def test_hanging_up_ends_nothing_where_nothing_is_watched() -> None:
    port = free_port()
    settings = bridge_settings(1) | {"AzureSignalRConnectionString": connection_string(1)}
    with Process("bridge", app_command("serve", "--port", str(port)), settings) as process:
        wait_until_answered(process, f"http://127.0.0.1:{port}/health/live")
        os.kill(process.pid, signal.SIGHUP)
        process.wait_for_line("there is no file, folder or store to read")
        assert httpx.get(f"http://127.0.0.1:{port}/health/live", trust_env=False).is_success
        assert process.stop() == 0
