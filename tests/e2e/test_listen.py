"""Where ``serve`` listens: several addresses, both families, a Unix socket, with real processes and sockets."""

import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import (
    API_KEY,
    NAMED_CLIENTS,
    Process,
    app_command,
    bridge_settings,
    eventually,
    free_port,
    wait_until_answered,
)

HAS_IPV6 = Path("/proc/net/if_inet6").is_file() and Path("/proc/net/if_inet6").read_text() != ""


def serve(*arguments: str, settings: Mapping[str, str] | None = None) -> Process:
    given = bridge_settings(free_port()) | dict(settings or {})
    del given["BRIDGE_HOST"]
    return Process("bridge", app_command("serve", *arguments), given)


def live(address: str) -> int:
    return httpx.get(f"http://{address}/health/live", trust_env=False, timeout=10).status_code


@pytest.mark.parametrize(
    ("hosts", "answers", "refuses"),
    [
        (["127.0.0.1", "127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.3"]),
        (["127.0.0.1", "::1"], ["127.0.0.1", "[::1]"], ["127.0.0.2"]),
        (["::"], ["127.0.0.1", "[::1]"], []),
        (["0.0.0.0", "::"], ["127.0.0.1", "[::1]"], []),
    ],
)
def test_it_listens_at_each_address(hosts: list[str], answers: list[str], refuses: list[str]) -> None:
    port = free_port()
    flags = [word for host in hosts for word in ("--host", host)]
    with serve(*flags, "--port", str(port)) as bridge:
        if not HAS_IPV6 and "::1" in hosts:
            assert bridge.wait() == 1
            assert "this machine has no such address" in bridge.output
            return
        wait_until_answered(bridge, f"http://{answers[0]}:{port}/health/live")
        for one in answers if HAS_IPV6 else answers[:1]:
            assert live(f"{one}:{port}") == 200
        for one in refuses:
            with pytest.raises(httpx.ConnectError):
                live(f"{one}:{port}")


def ask(path: Path, target: str = "/health/live", **headers: str) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://bridge", timeout=10) as http:
        method = "POST" if target.startswith("/hubs/") else "GET"
        return http.request(method, target, headers=headers)


def wait_for_socket(bridge: Process, path: Path) -> None:
    def look() -> bool | None:
        assert bridge.alive, bridge.output
        with socket.socket(socket.AF_UNIX) as trying, suppress(OSError):
            trying.connect(str(path))
            return True
        return None

    eventually(look, f"somebody who listens at {path}")
    assert ask(path).status_code == 200


def test_a_unix_socket_from_the_start_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with serve("--uds", str(path)) as bridge:
        wait_for_socket(bridge, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert ask(path, "/hubs/chat/send").status_code == 401
        assert ask(path, "/hubs/chat/send", **{"X-API-Key": API_KEY}).status_code == 415
        with serve("--uds", str(path)) as second:
            assert second.wait() == 1
        assert f"cannot listen at {path} (address already in use)" in second.output
        assert "BRIDGE_UDS" in second.output
        assert ask(path).status_code == 200, "the first one goes on"
        bridge.terminate()
        assert bridge.wait() == 0
    assert not path.exists()


def test_a_socket_that_a_killed_process_left_is_replaced_and_another_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with serve(settings={"BRIDGE_UDS": str(path)}) as bridge:
        wait_for_socket(bridge, path)
    file = tmp_path / "precious"
    file.write_text("kept")
    with serve("--uds", str(file)) as refused:
        assert refused.wait() == 1
    assert f"cannot listen at {file} (file exists)" in refused.output
    assert file.read_text() == "kept"


@pytest.mark.parametrize(("trusted", "statuses"), [(None, [200, 429]), ("unix", [200, 200])])
def test_peers_of_a_socket_are_one_client_unless_their_proxy_is_trusted(
    tmp_path: Path, trusted: str | None, statuses: list[int]
) -> None:
    path = tmp_path / "http.sock"
    limited = {"BRIDGE_LIMITS__NEGOTIATE_PER_SECOND": "0.01", "BRIDGE_NEGOTIATE__HUBS": "chat", "BRIDGE_UDS": str(path)}
    limited |= {} if trusted is None else {"BRIDGE_TRUSTED_PROXIES": trusted}
    with serve(settings=limited | NAMED_CLIENTS) as bridge:
        wait_for_socket(bridge, path)
        given = [
            ask(path, "/hubs/chat/negotiate?userId=u", **{"X-Forwarded-For": address}).status_code
            for address in ("203.0.113.1", "203.0.113.2")
        ]
    assert given == statuses
