"""Negotiate handlers in Python for the tests: what each does stands in the query of the client, as ``do``."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from signalr_bridge import Admission, Hub, HubError, NegotiateRequest, Rejected, Unauthenticated, outbox


class SafeText(str):
    """A framework's own kind of text, such as Django's."""


class Own(BaseException):
    """A kind of an author's own."""


SEEN: list[NegotiateRequest] = []
SESSIONS = {"session=ann": "ann"}

chat, every, quick = Hub("chat"), Hub("*"), Hub("chat", timeout_seconds=0.05)


def by_cookie(request: NegotiateRequest) -> Admission:
    user = SESSIONS.get(request.headers.get("cookie", [""])[0])
    if user is None:
        raise Unauthenticated("Sign in first.")
    return Admission(user, claims={"role": ["admin", "editor"], "age": 7, "new": True}, groups=["team", "a/b", "team"])


def fail(error: BaseException) -> Callable[[NegotiateRequest], Any]:
    def raise_it(_: NegotiateRequest) -> Any:
        raise error

    return raise_it


def give(value: Any) -> Callable[[NegotiateRequest], Any]:
    return lambda _: value


DONE: dict[str, Callable[[NegotiateRequest], Any]] = {
    "cookie": by_cookie,
    "rules": give(None),
    "anonymous": give(Admission()),
    "ann": give(Admission("ann")),
    "a framework's texts": give(
        Admission(SafeText("ann"), {SafeText("role"): [SafeText("admin")], "one": SafeText("1")}, [SafeText("team")])
    ),
    "no claims": give(Admission(claims={})),
    "short": give(Admission("ann", lifetime_seconds=60, close_on_expiry=True)),
    "at b": give(Admission("ann", endpoint="b")),
    "rejected": fail(Rejected("Not today.")),
    "rejected, silent": fail(Rejected()),
    "unauthenticated": fail(Unauthenticated("Sign in first.")),
    "unauthenticated, silent": fail(Unauthenticated()),
    "unauthenticated, at length": fail(Unauthenticated("x" * 5000)),
    # What admits nobody.
    "a bug": fail(KeyError("canary")),
    "a hub error": fail(HubError("canary")),
    "an exit": fail(SystemExit("canary")),
    "a cancellation": fail(asyncio.CancelledError()),
    "an interrupt": fail(KeyboardInterrupt("canary")),
    "a generator's end": fail(GeneratorExit("canary")),
    "its own kind": fail(Own("canary")),
    "a map": give({"user_id": "canary"}),
    "true": give(True),
    "a text": give("canary"),
    "an array": give(["canary"]),
    "user: a number": give(Admission(5)),  # type: ignore[arg-type]
    "user: empty": give(Admission("")),
    "user: a line break": give(Admission("canary\n")),
    "user: a blank behind": give(Admission("canary ")),
    "user: too long": give(Admission("y" * 1025)),
    "user: forged": give(Admission("x, bridge.claims: e30")),
    "user: half a character": give(Admission("\ud800")),
    "claims: a list": give(Admission("ann", ["canary"])),  # type: ignore[arg-type]
    "claims: an object": give(Admission("ann", {"canary": {"a": 1}})),
    "claims: null": give(Admission("ann", {"canary": None})),
    "claims: no text": give(Admission("ann", {5: "canary"})),  # type: ignore[dict-item]
    "claims: no number": give(Admission("ann", {"canary": float("nan")})),
    "claims: half a character": give(Admission("ann", {"canary": "\ud800"})),
    "claims: reserved": give(Admission("ann", {"asrs.s.uid": "canary"})),
    "claims: groups": give(Admission("ann", {"bridge.groups": ["canary"]})),
    "claims: a control": give(Admission("ann", {"canary": "\x00"})),
    "claims: too long": give(Admission("ann", {"canary": "y" * 4000})),
    "groups: a text": give(Admission("ann", groups="canary")),
    "groups: a set": give(Admission("ann", groups={"canary"})),  # type: ignore[arg-type]
    "groups: a number": give(Admission("ann", groups=[1])),  # type: ignore[list-item]
    "groups: 101": give(Admission("ann", groups=[str(one) for one in range(101)])),
    "groups: empty": give(Admission("ann", groups=[""])),
    "groups: two dots": give(Admission("ann", groups=[".."])),
    "lifetime: 0": give(Admission("ann", lifetime_seconds=0)),
    "lifetime: a day and a second": give(Admission("ann", lifetime_seconds=86_401)),
    "lifetime: true": give(Admission("ann", lifetime_seconds=True)),
    "lifetime: a fraction": give(Admission("ann", lifetime_seconds=1.5)),  # type: ignore[arg-type]
    "endpoint: unknown": give(Admission("ann", endpoint="canary")),
    "endpoint: a number": give(Admission("ann", endpoint=1)),  # type: ignore[arg-type]
    "close: a text": give(Admission("ann", close_on_expiry="true")),  # type: ignore[arg-type]
}
ADMIT_NOBODY = list(DONE)[list(DONE).index("a bug") :]


@chat.negotiate
async def decide(request: NegotiateRequest) -> Admission | None:
    SEEN.append(request)
    admission: Admission | None = DONE[request.query["do"][0]](request)
    return admission


@every.negotiate
def decide_in_a_thread(request):  # type: ignore[no-untyped-def]
    SEEN.append(request)
    return Admission(f"by * in a thread: {threading.current_thread() is not threading.main_thread()}")


@quick.negotiate
async def sleep(request: NegotiateRequest) -> Admission:
    await asyncio.sleep(60)
    return Admission("late")


patient = Hub("chat")


@patient.negotiate(timeout_seconds=0.05)
def sleep_in_a_thread(request: NegotiateRequest) -> Admission:
    time.sleep(0.5)
    return Admission("late")


class Team(Hub):
    """The class form."""

    async def on_negotiate(self, request: NegotiateRequest) -> Admission:
        SEEN.append(request)
        return Admission(f"of {request.hub}")


class Slow(Hub):
    """It has no time-out of its own."""

    async def on_negotiate(self, request: NegotiateRequest) -> Admission:
        await asyncio.sleep(60)
        return Admission("late")


talking = Hub("chat")


@talking.negotiate
async def announce(request: NegotiateRequest) -> Admission:
    await outbox("chat").clients.group("doormen").send("knocked", request.address)
    return Admission("ann")
