"""Judgements as HTTP answers: which status, which problem, and which are given again for the same key.

Source: the README's tables of outcomes, results and statuses.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any

from signalr_bridge.endpoints.outcome import Judgement, Meaning, Result, Status, judge, result_bytes
from signalr_bridge.errors import BridgeError, InvalidHeader
from signalr_bridge.outbound.idempotency import Idempotency, Scope, write_scope
from signalr_bridge.outbound.items import Item
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.rest import Action
from signalr_bridge.web.problems import answer_problem
from signalr_bridge.web.request import JSON, Request
from signalr_bridge.wire.exchange import Answer, make_answer

IDEMPOTENCY_KEY = b"idempotency-key"
"""The header that names a request."""

_ACCEPTED = Status.ACCEPTED
_KEY = re.compile(r"[!-~]{1,255}")
_DETAILS = {
    Meaning.NOT_THERE: "The connection is not there; it may have ended.",
    Meaning.UNKNOWN: "The service did not answer in time; it may have been done.",
    Meaning.UNAVAILABLE: "No endpoint could be asked; try again.",
    Meaning.THROTTLED: "The service asks for a pause.",
    Meaning.FAILED: "No endpoint accepted this; 'endpoints' says why.",
    Meaning.NOT_PRESENT: "Nobody of this name is connected.",
    Meaning.NOT_KNOWN: "An endpoint that may know could not be asked, and no other said yes.",
    Meaning.CLIENT_SILENT: "The client did not answer in time; it may have been called.",
    Meaning.CALL_FAILED: "The call failed; 'endpoints' says why.",
    Meaning.UNREADABLE: "The service's answer cannot be read.",
}


def answer_item(action: Action, result: Result) -> Answer:
    """The answer to a single item: 202 or 207. Raises the error of its judgement."""
    if result.status is _ACCEPTED:  # the usual case
        return make_answer(202, result_bytes(result), JSON)
    judgement = judge(action, result)
    if judgement.error is not None:
        raise make_problem(judgement)
    return make_answer(202 if judgement.is_done else 207, result_bytes(result), JSON)


def answer_items(items: Sequence[Item], results: Sequence[Result]) -> Answer:
    """The answer to an array: 202 when all items are done, 207 when some are. Else raises the first item's error."""
    body = {"results": [result.as_json() for result in results]}
    judgements = [judge(item.operation.action, result) for item, result in zip(items, results, strict=True)]
    if all(one.is_done for one in judgements):
        return _answer_json(body, 202)
    if any(one.was_taken for one in judgements):
        return _answer_json(body, 207)
    error = make_problem(next(one for one in judgements if not one.is_done))
    error.extensions = body
    raise error


def answer_change(action: Action, result: Result) -> Answer:
    """The answer to a change of one membership or connection: 204 or 207. Raises the error of its judgement."""
    judgement = judge(action, result)
    if judgement.error is not None:
        raise make_problem(judgement)
    return Answer(204) if judgement.is_done else make_answer(207, result_bytes(result), JSON)


def answer_question(action: Action, result: Result) -> Answer:
    """The answer yes to a question: 200. Raises the error of its judgement for any other answer."""
    judgement = judge(action, result)
    if judgement.error is not None:
        raise make_problem(judgement)
    return _answer_json({"exists": True}, 200)


def answer_call(judgement: Judgement) -> Answer:
    """The answer of a client that was called: 200. Raises the error of the judgement."""
    if judgement.error is not None:
        raise make_problem(judgement)
    return _answer_json(judgement.answer.as_json(), 200)


def _answer_json(value: dict[str, Any], status: int) -> Answer:
    return make_answer(status, json_text.encode(value), JSON)


def make_problem(judgement: Judgement, detail: str | None = None) -> BridgeError:
    """The error of a judgement that has one, ready to be answered as a problem.

    Args:
        judgement: What is wrong.
        detail: The same in words, for people. None takes the usual words for the meaning. Where an endpoint can never
            do it as it is, the reason stands there instead.
    """
    assert judgement.error is not None, "there is nothing to complain about"
    more: dict[str, Any] = {"endpoints": [outcome.as_json() for outcome in judgement.result.outcomes]}
    if judgement.meaning is Meaning.NOT_PRESENT:
        more = {"exists": False}
    wait = {} if judgement.retry_after is None else {"Retry-After": str(judgement.retry_after)}
    text = " ".join(judgement.reasons) or detail or _DETAILS[judgement.meaning]
    return judgement.error(text, headers=wait, extensions=more)


async def answer_once(request: Request, body: bytes, answer: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer that ``answer`` gives, or the one that was kept for the same caller, request and key.

    Raises ``InvalidHeader``, ``IdempotencyMismatch``, ``IdempotencyInProgress``, and what ``answer`` raises.
    """
    keys = request.headers_of(IDEMPOTENCY_KEY)
    if not keys:
        return await answer()
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidHeader("Idempotency-Key is 1 to 255 visible ASCII characters.")
    store, caller = request.part(Idempotency), request.require_caller()
    scope = write_scope(caller.identity or caller.name, request.method, request.path, request.incoming.query, keys[0])
    kept = store.begin(scope, sha256(body).digest())
    return _replay(kept) if kept is not None else await _answer_first(request, store, scope, answer)


def _replay(kept: Answer) -> Answer:
    return Answer(kept.status, [*kept.headers, (b"idempotency-replay", b"true")], kept.body)


async def _answer_first(
    request: Request, store: Idempotency, scope: Scope, answer: Callable[[], Awaitable[Answer]]
) -> Answer:
    kept = False
    try:
        given = await _answer_or_problem(request, answer)
        kept = given.status < 300 or given.status == 504
        if kept:
            store.keep(scope, given)
        return given
    finally:
        if not kept:
            store.forget(scope)


async def _answer_or_problem(request: Request, answer: Callable[[], Awaitable[Answer]]) -> Answer:
    """What ``answer`` gives. An error with the status 504 becomes an answer, to be kept. Other errors are raised."""
    try:
        return await answer()
    except BridgeError as error:
        if error.status != 504:
            raise
        return answer_problem(error, request.id)
