"""Where events go over HTTP."""

from typing import Literal

from pydantic import Field

from signalr_bridge.settings.sections.fields import Secrets, Section, Texts


class ForwardSettings(Section):
    """Where events go over HTTP."""

    hub: str = Field(default="*", description="a hub's name, or `*`")
    category: Literal["connections", "messages", "*"] = Field(default="*", description="which events")
    event: str = Field(default="*", description="an event's name, or `*`")
    # Not shown: a function's URL has its code in the query.
    url: str = Field(description="where to post; `{hub}` and `{event}` stand as whole path segments", repr=False)
    secrets: Secrets = Field(default=(), description="sign every call, with each of them (`whsec_...`)")
    unsigned: bool = Field(default=False, description="post without a signature")
    format: Literal["json", "cloudevents", "functions"] = Field(
        default="json", description="`json`, `cloudevents`, or `functions`: a Functions custom handler's contract"
    )
    function: str | None = Field(default=None, description="`functions`: the function to run, behind the URL's path")
    binding: str = Field(default="invocation", description="`functions`: the trigger's name in the payload")
    parameter_names: Texts | None = Field(default=None, description="`functions`: names of a message's arguments")
    timeout_seconds: float = Field(default=10, gt=0, le=100, description="how long one event may take")
    retry_seconds: float = Field(
        default=60, ge=0, le=3600, description="how long connection events are tried again; 0 is never"
    )
