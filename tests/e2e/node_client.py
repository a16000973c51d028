"""Microsoft's JavaScript client for tests written in Python: one Node process (client.mjs) with many connections."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from tests.e2e.processes import E2E, NODE, Process

TARGETS = ("newMessage", "roomMessage", "arrived", "left", "noted", "barrier")
"""What the clients listen to."""

ANSWERS_WITHIN = 15.0


class CallFailed(Exception):
    """The JavaScript client rejected a call, with this text."""


class NodeClients:
    """The Node process, with a client for every name."""

    def __init__(self) -> None:
        self.process = Process("node clients", [NODE, str(E2E / "client.mjs"), ",".join(TARGETS)])
        self._ids = itertools.count(1)

    def client(self) -> "NodeClient":
        return NodeClient(self, f"client-{next(self._ids)}")

    def command(self, client: str, do: str, **more: Any) -> Any:
        number = next(self._ids)
        self.process.stdin.write(json.dumps({"id": number, "client": client, "do": do, **more}) + "\n")
        self.process.stdin.flush()
        answer = self.find(lambda said: said.get("id") == number, f"answer to {do!r} from {client}")
        if "error" in answer:
            raise CallFailed(answer["error"])
        return answer["result"]

    def find(self, wanted: Any, what: str, skip: int = 0) -> dict[str, Any]:
        """The first thing said that is wanted, or a later one when ``skip`` says so; waited for."""

        def look(lines: list[str]) -> dict[str, Any] | None:
            said = (json.loads(line) for line in lines if line.startswith("{"))
            return next(itertools.islice(filter(wanted, said), skip, None), None)

        return self.process.wait_for(look, what, ANSWERS_WITHIN)


class NodeClient:
    """One connection. Messages are read in the order in which they came, each once."""

    def __init__(self, clients: NodeClients, name: str) -> None:
        self._clients = clients
        self._name = name
        self._read: dict[str, int] = {}
        self.connection_id = ""

    def start(
        self,
        url: str,
        *,
        reconnect: bool = False,
        protocol: str = "json",
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "NodeClient":
        """``token`` is what the client brings along: its own, or one that somebody has negotiated for it when ``url``
        is the service's."""
        more = {"reconnect": reconnect, "protocol": protocol, "token": token, "headers": headers or {}}
        self.connection_id = self._clients.command(self._name, "start", url=url, **more)
        return self

    def invoke(self, method: str, *arguments: Any) -> Any:
        return self._clients.command(self._name, "invoke", method=method, arguments=arguments)

    def send(self, method: str, *arguments: Any) -> None:
        self._clients.command(self._name, "send", method=method, arguments=arguments)

    def flood(self, method: str, count: int) -> list[str | None]:
        """Invokes ``count`` times at once: the error of each call, or None."""
        errors: list[str | None] = self._clients.command(self._name, "flood", method=method, count=count)
        return errors

    def stop(self) -> None:
        self._clients.command(self._name, "stop")

    def message(self) -> tuple[str, list[Any]]:
        """The next message: its target and its arguments."""
        said = self.event("message")
        return said["target"], said["arguments"]

    def event(self, event: str) -> dict[str, Any]:
        """The next event of a kind: ``message``, ``closed``, ``reconnecting``, ``reconnected``."""
        read = self._read.get(event, 0)
        said = self._clients.find(
            lambda said: said.get("client") == self._name and said.get("event") == event,
            f"{event!r} of {self._name} (after {read} others)",
            skip=read,
        )
        self._read[event] = read + 1
        return said
