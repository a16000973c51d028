"""How the service is called: what a function app's settings say of transport, time-out, retries and payloads."""

from typing import Literal

from pydantic import Field

from signalr_bridge.settings.sections.fields import Section


class RetrySettings(Section):
    """``AzureSignalRRetry``: how often a call is tried again, and after how many seconds."""

    max_retries: int = Field(default=3, ge=0, le=100)
    delay_seconds: float = Field(default=0.8, ge=0, le=3600)
    max_delay_seconds: float = Field(default=60, ge=0, le=3600)
    mode: Literal["Fixed", "Exponential"] = "Fixed"


class CallSettings(Section):
    """``attempt_seconds`` caps one attempt; without ``retry`` the bridge's own counts and delays hold."""

    persistent: bool = False
    attempt_seconds: float | None = Field(default=None, gt=0)
    retry: RetrySettings | None = None
    messagepack: bool = False
