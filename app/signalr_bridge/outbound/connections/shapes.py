"""The JSON shapes of the routes one by one, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, Field


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


class Invocation(BaseModel):
    """A call of a client's method."""

    target: str = Field(min_length=1, description="the client's method", examples=["askName"])
    arguments: list[Any] = Field([], examples=[["how are you?"]])
    timeoutSeconds: float = Field(10, ge=1, le=100, description="how long the client may take")


class InvocationAnswer(BaseModel):
    """What the client returned, or the text with which it refused."""

    result: Any = None
    error: str | None = None
