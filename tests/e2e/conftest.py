"""Processes that the end-to-end tests share, and their output in the report of a test that fails."""

from collections.abc import Callable, Generator, Iterator

import pytest

from tests.e2e.examples import COMPILED, start_compiling
from tests.e2e.node_client import NodeClient, NodeClients
from tests.e2e.processes import NAMED_CLIENTS, Machine, Process, run_apart, run_dev

HANDLERS = "tests.e2e.handlers:chat"

collect_ignore = ["a_team"]  # its tests are that team's, and run in its folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for process in Process.running:
            report.sections.append((f"output of {process.name}", "\n".join(process.lines[-30:])))
    return report


@pytest.fixture(scope="session", autouse=True)
def compiling(request: pytest.FixtureRequest) -> None:
    """What takes long on a fresh machine begins with the first test, where tests will need it."""
    if any(item.path.name == "test_examples.py" for item in request.session.items):
        for language in COMPILED:
            start_compiling(language)


@pytest.fixture(scope="session")
def dev() -> Iterator[Machine]:
    with run_dev("--handlers", HANDLERS) as machine:
        yield machine


@pytest.fixture(scope="session")
def apart() -> Iterator[Machine]:
    with run_apart({"BRIDGE_HANDLERS": HANDLERS, **NAMED_CLIENTS}) as machine:
        yield machine


@pytest.fixture(scope="session", params=["dev", "apart"])
def machine(request: pytest.FixtureRequest) -> Machine:
    """Both ways to run: all in one process, and `serve` beside `emulator`."""
    running: Machine = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session")
def node() -> Iterator[NodeClients]:
    clients = NodeClients()
    yield clients
    clients.process.stop()


@pytest.fixture
def connect(node: NodeClients, machine: Machine) -> Iterator[Callable[..., NodeClient]]:
    """Connects a JavaScript client as the user given; what is still connected after the test is stopped."""
    started: list[NodeClient] = []

    def start(user: str, *, reconnect: bool = False, protocol: str = "json") -> NodeClient:
        client = node.client()
        client.start(f"{machine.url}/hubs/chat?userId={user}", reconnect=reconnect, protocol=protocol)
        started.append(client)
        return client

    yield start
    for client in started:
        client.stop()
