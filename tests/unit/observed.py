"""An observer that remembers what it was told."""

from typing import Any

from signalr_bridge.web.observer import Observer


class Recorder(Observer):
    """Every fact by the name of its method."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, dict[str, Any]]] = []

    def of(self, name: str) -> list[dict[str, Any]]:
        """The facts of one kind."""
        return [facts for told, facts in self.facts if told == name]

    def request_ended(self, **facts: Any) -> None:
        self.facts.append(("request_ended", facts))

    def request_shed(self, **facts: Any) -> None:
        self.facts.append(("request_shed", facts))

    def operation_ended(self, **facts: Any) -> None:
        self.facts.append(("operation_ended", facts))

    def operation_retried(self, **facts: Any) -> None:
        self.facts.append(("operation_retried", facts))

    def probe_ended(self, **facts: Any) -> None:
        self.facts.append(("probe_ended", facts))

    def event_ended(self, **facts: Any) -> None:
        self.facts.append(("event_ended", facts))

    def event_refused(self, **facts: Any) -> None:
        self.facts.append(("event_refused", facts))

    def message_limited(self, **facts: Any) -> None:
        self.facts.append(("message_limited", facts))

    def negotiation_ended(self, **facts: Any) -> None:
        self.facts.append(("negotiation_ended", facts))

    def send_ended(self, **facts: Any) -> None:
        self.facts.append(("send_ended", facts))

    def item_ended(self, **facts: Any) -> None:
        self.facts.append(("item_ended", facts))

    def connections_closed(self, **facts: Any) -> None:
        self.facts.append(("connections_closed", facts))

    def forward_attempted(self, **facts: Any) -> None:
        self.facts.append(("forward_attempted", facts))

    def forward_given_up(self, **facts: Any) -> None:
        self.facts.append(("forward_given_up", facts))

    def forward_retried(self, **facts: Any) -> None:
        self.facts.append(("forward_retried", facts))

    def keys_fetched(self, **facts: Any) -> None:
        self.facts.append(("keys_fetched", facts))

    def key_fetch_failed(self, **facts: Any) -> None:
        self.facts.append(("key_fetch_failed", facts))

    def credential_refreshed(self, **facts: Any) -> None:
        self.facts.append(("credential_refreshed", facts))

    def credential_failed(self, **facts: Any) -> None:
        self.facts.append(("credential_failed", facts))

    def settings_changed(self, **facts: Any) -> None:
        self.facts.append(("settings_changed", facts))

    def settings_waiting(self, **facts: Any) -> None:
        self.facts.append(("settings_waiting", facts))

    def settings_opening(self, **facts: Any) -> None:
        self.facts.append(("settings_opening", facts))

    def settings_refused(self, **facts: Any) -> None:
        self.facts.append(("settings_refused", facts))
