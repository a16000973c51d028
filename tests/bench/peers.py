"""What the bridge is compared with, in Python. Each is served by uvicorn itself: nothing here is ours.

``plain`` is the least that a server in Python can do: it answers with the body, or makes one call by aiohttp. ``naive``
is what is written on a first day with FastAPI and httpx: it sends, negotiates and answers events, with the least of
rules.
"""

import hashlib
import hmac
import os
import time
from typing import Annotated, Any

import aiohttp
import httpx
import jwt
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

SERVICE = {"plain": os.environ.get("SERVICE_HTTP", "")}
"""Where the service is, by hub."""
EVERY_OTHER = os.environ.get("SERVICE_HTTPS", "")
ACCESS_KEY = os.environ.get("SERVICE_KEY", "")
CALLER_KEY = os.environ.get("CALLER_KEY", "")


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    """Passes what is to be sent on to the service, and is an echo for all else."""
    body = await read_body(receive)
    if scope["path"].endswith("/send"):
        await pass_on(scope["path"].split("/")[2], body, send)
    else:
        await answer(send, 200, body)


async def pass_on(hub: str, body: bytes, send: Send) -> None:
    url = f"{SERVICE.get(hub, EVERY_OTHER)}/api/hubs/{hub}/:send?api-version=2022-06-01"
    async with session().post(url, data=body, headers={"Content-Type": "application/json"}) as response:
        await response.read()
    await answer(send, response.status, b'{"status":"accepted"}')


async def read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        piece = await receive()
        body, more = body + piece.get("body", b""), piece.get("more_body", False)
    return body


async def answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


sessions: list[aiohttp.ClientSession] = []


def session() -> aiohttp.ClientSession:
    """The session of this process. It needs the running event loop, and so is made by the first request."""
    if not sessions:
        sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return sessions[0]


class Message(BaseModel):
    target: str
    arguments: list[Any]
    groupName: str | None = None


class Event(BaseModel):
    type: int
    invocationId: str | None = None
    target: str
    arguments: list[Any]


naive = FastAPI()
client = httpx.AsyncClient()


@naive.post("/hubs/{hub}/send", status_code=202)
async def send(hub: str, message: Message, x_api_key: Annotated[str, Header()]) -> dict[str, str]:
    if x_api_key != CALLER_KEY:
        raise HTTPException(401)
    url = f"{SERVICE.get(hub, EVERY_OTHER)}/api/hubs/{hub}/:send?api-version=2022-06-01"
    response = await client.post(
        url, json=message.model_dump(exclude_none=True), headers={"Authorization": f"Bearer {token(aud=url)}"}
    )
    response.raise_for_status()
    return {"status": "accepted"}


@naive.post("/hubs/{hub}/negotiate")
async def negotiate(hub: str, userId: str) -> dict[str, str]:
    url = f"{EVERY_OTHER}/client/?hub={hub}"
    return {"url": url, "accessToken": token(aud=url, nameid=userId)}


@naive.post("/upstream")
async def upstream(
    event: Event, x_asrs_connection_id: Annotated[str, Header()], x_asrs_signature: Annotated[str, Header()]
) -> dict[str, Any]:
    expected = "sha256=" + hmac.new(ACCESS_KEY.encode(), x_asrs_connection_id.encode(), hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(expected, one) for one in x_asrs_signature.split(",")):
        raise HTTPException(401)
    return {"type": 3, "invocationId": event.invocationId, "result": "sent"}


def token(**claims: str) -> str:
    return jwt.encode({**claims, "exp": int(time.time()) + 3600}, ACCESS_KEY)
