"""How long, how much and how often: deadlines, sizes and rates."""

from pydantic import Field

from signalr_bridge.settings.sections.fields import Section


class LimitsSettings(Section):
    caller_per_second: float | None = Field(
        default=None, gt=0, description="requests of one caller in a second, and at once"
    )
    negotiate_per_second: float | None = Field(
        default=None, gt=0, description="negotiations of one client address in a second, and at once"
    )
    in_flight: int = Field(default=1000, ge=1, description="requests that are answered at once")
    deadline_seconds: float = Field(default=10, ge=0.1, le=100, description="the deadline of a call that names none")
    upstream_bytes: int = Field(default=4_194_304, ge=1, description="the largest upstream body")
    handler_seconds: float = Field(
        default=60, gt=0, le=3600, description="how long a Python handler may take that names no time-out of its own"
    )
    grace_seconds: float = Field(
        default=20, ge=0, le=300, description="how long calls in flight may take to end at a stop"
    )
