"""An instance that has an identity and does not sign: the emulator presents tokens, and the bridge believes them."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from signalr_bridge.emulator import Emulator

from tests.azure.issuer import Issuer, run_issuer
from tests.e2e.node_client import CallFailed, NodeClients
from tests.e2e.processes import NAMED_CLIENTS, Process, free_port, run_bridge
from tests.unit.upstream.bad_tokens import bad_tokens
from tests.unit.upstream.issued import APPLICATION, AUDIENCE, TENANT, V1, V2, token

ENTRA = {
    "BRIDGE_HANDLERS": "tests.e2e.reporting_handlers:reporting",
    "BRIDGE_UPSTREAM__ENTRA__TENANT": TENANT,
    "BRIDGE_UPSTREAM__ENTRA__AUDIENCE": AUDIENCE,
    "BRIDGE_UPSTREAM__ENTRA__APP_IDS": APPLICATION,
    "BRIDGE_ENDPOINTS__DEFAULT__UPSTREAM_APP_ID": APPLICATION,
    **NAMED_CLIENTS,
}
EVENT = {
    "X-ASRS-Hub": "reporting",
    "X-ASRS-Category": "messages",
    "X-ASRS-Event": "endpoint",
    "X-ASRS-Connection-Id": "c1",
    "Content-Type": "application/json",
}


class Presented:
    """The token that the emulator presents now."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self) -> str:
        return self.text


@contextmanager
def run_in_thread(port: int, upstream: str, present: Callable[[], str]) -> Iterator[None]:
    started, ended = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with Emulator(port, upstream=upstream, sign_upstream=False, upstream_token=present):
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), name="emulator")
    thread.start()
    try:
        assert started.wait(10)
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def issuer(authority: trustme.CA) -> Iterator[Issuer]:
    with run_issuer(authority) as running:
        yield running


@pytest.fixture(scope="module")
def present() -> Presented:
    return Presented()


@pytest.fixture(scope="module")
def bridge(
    authority: trustme.CA, issuer: Issuer, present: Presented, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Process]]:
    certificates: Path = tmp_path_factory.mktemp("certificates") / "ca.pem"
    authority.cert_pem.write_to_path(str(certificates))
    trusted = {"SSL_CERT_FILE": str(certificates), "AZURE_AUTHORITY_HOST": issuer.url}
    port, emulator_port = free_port(), free_port()
    with (
        run_in_thread(emulator_port, f"http://localhost:{port}/upstream", present),
        run_bridge(port, emulator_port, ENTRA | trusted) as process,
    ):
        yield f"http://localhost:{port}", process


def post(url: str, text: str) -> httpx.Response:
    body = '{"type":1,"invocationId":"0","target":"endpoint","arguments":[]}'
    headers = {**EVENT, "Authorization": f"Bearer {text}"}
    return httpx.post(f"{url}/upstream", content=body, headers=headers, trust_env=False)


@pytest.mark.parametrize("version", [V1, V2])
def test_a_client_calls_a_handler_through_an_instance_with_an_identity(
    node: NodeClients, bridge: tuple[str, Process], present: Presented, version: dict[str, str]
) -> None:
    present.text = token(version=version, now=time.time())
    client = node.client().start(f"{bridge[0]}/hubs/reporting?userId=ann")
    assert client.invoke("endpoint") == "default"
    present.text = token(version=version, now=time.time(), name="foreign")
    with pytest.raises(CallFailed, match="401"):
        client.invoke("endpoint")
    client.stop()


def test_no_bad_token_opens_the_running_bridge(bridge: tuple[str, Process]) -> None:
    url, process = bridge
    sendable = {what: text for what, text in bad_tokens(time.time()).items() if text and text.isascii()}
    assert {what: status for what, text in sendable.items() if (status := post(url, text).status_code) != 401} == {}
    assert post(url, token(now=time.time())).status_code == 200
    assert "Traceback" not in process.output
    assert not any(text in process.output for text in sendable.values() if len(text) > 30)


def test_serve_warns_that_there_is_no_code(bridge: tuple[str, Process]) -> None:
    bridge[1].wait_for_line("no BRIDGE_UPSTREAM__CODE is set")
