"""The metrics of the HTTP contract, section 8, and of a scrape, as Prometheus stores them: names and labels."""

import re
from collections.abc import Mapping

CONTRACT = """
signalr_bridge_requests_total{route,method,status}
signalr_bridge_request_seconds{route} histogram
signalr_bridge_deliveries_total{endpoint,action,outcome}
signalr_bridge_delivery_retries_total{endpoint}
signalr_bridge_endpoint_state{endpoint,state}
signalr_bridge_endpoint_weight{endpoint}
signalr_bridge_endpoint_last_ok_timestamp_seconds{endpoint}
signalr_bridge_breaker_open{kind,name}
signalr_bridge_credential_renewals_total{endpoint,result}
signalr_bridge_credential_expires_timestamp_seconds{endpoint}
signalr_bridge_negotiations_total{hub,result}
signalr_bridge_events_total{hub,category,event,result}
signalr_bridge_handler_seconds{hub,event} histogram
signalr_bridge_events_refused_total{reason}
signalr_bridge_forward_waiting{forward}
signalr_bridge_forward_attempts_total{forward,result}
signalr_bridge_forward_given_up_total{forward}
signalr_bridge_idempotency_kept
signalr_bridge_idempotency_replayed_total
signalr_bridge_in_flight{share}
signalr_bridge_shed_total{share,reason}
signalr_bridge_log_lines_dropped_total
signalr_bridge_settings_changes_total{result}
signalr_bridge_build_info{version,python}
"""
"""What there is without the persistent transport and without shared state, whose metrics come with them."""


def _read_contract() -> dict[str, frozenset[str]]:
    known: dict[str, frozenset[str]] = {}
    for line in CONTRACT.split("\n"):
        if (match := re.fullmatch(r"(\w+)(?:{([\w,]+)})?( histogram)?", line)) is not None:
            labels = frozenset(match[2].split(",") if match[2] else ())
            known |= _as_histogram(match[1], labels) if match[3] else {match[1]: labels}
    return known


def _as_histogram(name: str, labels: frozenset[str]) -> dict[str, frozenset[str]]:
    return {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}


KNOWN: Mapping[str, frozenset[str]] = _read_contract()
