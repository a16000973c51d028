"""deploy/compose.yaml fits together, and its three processes do what it says."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import standardwebhooks
from signalr_bridge.settings.traffic import LimitsSettings

from tests.e2e.compose_file import PATH, Ports, interpolate, on_this_machine, read_compose, read_yaml
from tests.e2e.dockerfile import OURS, read_dockerfile
from tests.e2e.node_client import CallFailed, NodeClients
from tests.e2e.processes import ROOT, Machine, Process, app_command, free_port, wait_until_answered

PAGE = ROOT / "docs/images.md"


def write_secrets(text: str) -> dict[str, str]:
    """What the command in a text writes into deploy/.env."""
    match = re.search(r"(printf .*\\\n.*) > deploy/\.env$", re.sub("^# *", "", text, flags=re.MULTILINE), re.MULTILINE)
    assert match is not None
    written = subprocess.run(["sh", "-c", match[1]], capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in written.splitlines())


VARIABLES = write_secrets(PATH.read_text("utf-8"))


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    ports = Ports(free_port(), free_port(), free_port())
    ready = {
        "backend": f"http://localhost:{ports.backend}/health",
        "emulator": f"http://localhost:{ports.emulator}/api/health",
        "bridge": f"http://localhost:{ports.bridge}/health/live",
    }
    processes = {}
    with ExitStack() as stack:
        for name, url in ready.items():
            service = on_this_machine(name, ports, VARIABLES)
            # Ports of our images are not in the file: inside of a container they are free.
            environment = service.environment | ({"BRIDGE_PORT": str(ports.bridge)} if name == "bridge" else {})
            port = ["--port", str(ports.emulator)] if name == "emulator" else []
            processes[name] = stack.enter_context(Process(name, [*service.command, *port], environment))
            wait_until_answered(processes[name], url)
        yield Machine(ports.bridge, ports.emulator, processes["bridge"], {"X-API-Key": VARIABLES["BRIDGE_CALLER_KEY"]})


def test_a_client_calls_the_backend_through_it(node: NodeClients, machine: Machine) -> None:
    ann = node.client().start(f"{machine.url}/hubs/chat?userId=ann")
    bob = node.client().start(f"{machine.url}/hubs/chat?userId=bob")
    assert ann.invoke("broadcast", "hello") == "sent"
    assert ann.message() == bob.message() == ("newMessage", ["ann", "hello"])
    assert bob.invoke("announce", "lunch") == "announced"
    assert ann.message() == bob.message() == ("newMessage", ["announcement", "lunch"])
    with pytest.raises(CallFailed, match=r"^The text is empty\.$"):
        ann.invoke("broadcast", "")
    ann.stop()
    bob.stop()


def test_a_backend_sends_through_it_with_the_key_alone(node: NodeClients, machine: Machine) -> None:
    ann = node.client().start(f"{machine.url}/hubs/chat?userId=ann")
    item = {"target": "newMessage", "arguments": ["curl", "hello"]}
    with machine.http() as http:
        assert http.post("/hubs/chat/send", json=item, headers={"X-API-Key": "x" * 48}).status_code == 401
        assert http.post("/hubs/chat/send", json=item).status_code == 202
    assert ann.message() == ("newMessage", ["curl", "hello"])
    ann.stop()


def test_its_settings_are_settings() -> None:
    service = on_this_machine("bridge", Ports(8080, 8888, 9000), VARIABLES)
    with Process("check", app_command("check"), service.environment) as process:
        assert process.wait() == 0, process.output
    for secret in VARIABLES.values():
        assert secret not in process.output


def test_its_names_and_ports_fit_together() -> None:
    services = read_compose()["services"]
    assert set(services) == {"bridge", "emulator", "backend"}
    published = {port for service in services.values() for port in service.get("ports", [])}
    assert published == {"127.0.0.1:8080:8080", "127.0.0.1:8888:8888"}
    for service in services.values():
        texts = [*service["command"], *service.get("environment", {}).values()]
        hosts = {host for text in texts for host in re.findall(r"https?://([\w.]+)", text)}
        assert hosts <= {*services, "localhost"}
        assert set(service.get("depends_on", [])) <= set(services)
        for volume in service.get("volumes", []):
            assert (PATH.parent / volume.split(":")[0]).is_dir()


def test_its_first_lines_and_the_page_make_the_same_secrets() -> None:
    again = write_secrets(PAGE.read_text("utf-8"))
    assert set(again) == set(VARIABLES) == set(re.findall(r"\$\{(\w+)", PATH.read_text("utf-8")))
    assert all(len(again[name]) == len(VARIABLES[name]) and again[name] != VARIABLES[name] for name in again)
    assert "printf" in "".join(PATH.read_text("utf-8").splitlines()[:4])
    standardwebhooks.Webhook(again["WEBHOOK_SECRET"])


def test_each_service_is_confined_started_again_and_waited_for() -> None:
    services = read_compose()["services"]
    targets = {name: one["build"]["target"] for name, one in services.items() if "build" in one}
    assert targets == {"bridge": "production", "emulator": "emulator"}
    checked = {name for name, one in services.items() if "healthcheck" in one}
    for name, target in targets.items():
        stage = read_dockerfile(OURS.read_text("utf-8")).find(target)
        checked |= {name for one in stage.instructions if one.word == "HEALTHCHECK"}
    for service in services.values():
        assert (service["restart"], service["read_only"], service["cap_drop"]) == ("unless-stopped", "true", ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
        for name, condition in service.get("depends_on", {}).items():
            assert (condition, name in checked) == ({"condition": "service_healthy"}, True)
    limits = LimitsSettings()
    stop = int(services["bridge"]["stop_grace_period"].removesuffix("s"))
    assert stop >= limits.drain_seconds + limits.grace_seconds + 5


def test_it_holds_no_secret_but_the_one_that_is_public() -> None:
    for service in read_compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"KEYS|SECRET|API_KEY|CODE", name):
                assert value.startswith("${"), name
                assert interpolate(value, VARIABLES) in VARIABLES.values()


@pytest.mark.parametrize(
    "text", ["a:\n  - b: c\n", "a: >-\n  b\n", "a: b # c\n", "a: 'b'\n", "a: 1\na: 2\n", "a: &x b\n"]
)
def test_the_reader_refuses_what_it_does_not_understand(text: str) -> None:
    with pytest.raises(ValueError, match=r"not understood|twice"):
        read_yaml(text)
