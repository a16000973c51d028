"""The JSON shapes of the output binding for the OpenAPI document. The module ``items`` reads such bodies."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from signalr_bridge.settings.model import EndpointType

_Endpoints = Field(
    None, min_length=1, description="endpoint names, or objects as the endpoint list has them; absent: all online"
)


class MessageShape(BaseModel):
    """A message to everybody, or to one user, group or connection."""

    model_config = ConfigDict(title="Message", extra="forbid")

    target: str = Field(min_length=1, description="the client's method", examples=["newMessage"])
    arguments: list[Any] | None = Field(None, examples=[["ann", "hello"]])
    userId: str | None = Field(None, description="at most one of userId, groupName and connectionId")
    groupName: str | None = None
    connectionId: str | None = None
    excluded: list[str] | None = Field(None, description="connection ids left out; not with userId or connectionId")
    endpoints: list[str | dict[str, Any]] | None = _Endpoints


class GroupAction(BaseModel):
    """A user or a connection joins or leaves a group, or leaves all."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["add", "remove", "removeAll"]
    userId: str | None = Field(None, description="exactly one of userId and connectionId")
    connectionId: str | None = None
    groupName: str | None = Field(None, description="required for add and remove")
    ttlSeconds: int | None = Field(None, ge=0, description="with userId and add: 0 means connections open now")
    endpoints: list[str | dict[str, Any]] | None = _Endpoints


class CloseShape(BaseModel):
    """Close the connections of a user or a group, or one connection."""

    model_config = ConfigDict(title="Close", extra="forbid")

    action: Literal["close"]
    connectionId: str | None = Field(None, description="exactly one of connectionId, userId and groupName")
    userId: str | None = None
    groupName: str | None = None
    reason: str | None = None
    endpoints: list[str | dict[str, Any]] | None = _Endpoints


class OutcomeShape(BaseModel):
    """What one endpoint said."""

    name: str
    endpointType: EndpointType
    outcome: Literal["accepted", "absent", "rejected", "unreachable", "unknown", "offline"]
    statusCode: int | None = None
    code: str | None = None


class ResultShape(BaseModel):
    """What became of an item."""

    status: Literal["accepted", "partial", "absent", "unknown", "rejected", "skipped"]
    endpoints: list[OutcomeShape] | None = None
    code: str | None = None


class ResultsShape(BaseModel):
    """What became of each item of an array, in its order."""

    results: list[ResultShape]


class Existence(BaseModel):
    """Somebody is there."""

    exists: Literal[True]


class MemberShape(BaseModel):
    """One connection of a group, and the endpoint that it is connected to."""

    connectionId: str
    userId: str | None = Field(None, description="null: anonymous")
    endpoint: str


class MembersShape(BaseModel):
    """Some members of a group."""

    value: list[MemberShape]
    continuationToken: str | None = Field(None, description="for the next page; null: this is the last one")


class InvocationShape(BaseModel):
    """A call of a client's method."""

    model_config = ConfigDict(title="Invocation", extra="forbid")

    target: str = Field(min_length=1, description="the client's method", examples=["askName"])
    arguments: list[Any] | None = Field(None, examples=[["how are you?"]])
    timeoutSeconds: float | None = Field(
        None, ge=1, le=100, description="how long the client may take; without it 10 seconds"
    )


class InvocationAnswer(BaseModel):
    """What the client returned, or the text with which it refused."""

    result: Any = None
    error: str | None = None


def body_of(model: type[BaseModel], *, many: bool = False) -> dict[str, Any]:
    """The OpenAPI request body of one ``model``, or of an array of them."""
    schema = model.model_json_schema()
    return _content({"type": "array", "items": schema} if many else schema)


def body_of_any(*models: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI request body of an array that mixes ``models``."""
    schemas = [model.model_json_schema() for model in models]
    return _content({"type": "array", "items": {"anyOf": schemas}})


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}
