"""The sockets that servers listen on, before anything is served."""

import socket

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.wire.sockets import bind


def test_small_answers_do_not_wait_on_any_event_loop() -> None:
    with bind("127.0.0.1", 0, "BRIDGE_PORT") as listening, socket.create_connection(listening.getsockname()) as client:
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert client.fileno() > 0


def test_a_port_that_is_taken_is_named_with_its_setting() -> None:
    with bind("127.0.0.1", 0, "BRIDGE_PORT") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            SettingsError, match=f"^BRIDGE_PORT: cannot listen on 127.0.0.1 port {port} .*: write another port"
        ):
            bind("127.0.0.1", port, "BRIDGE_PORT")
