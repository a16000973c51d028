"""The answer to an upstream call: empty, or a completion in the client's protocol."""

import logging

import msgspec
from msgspec import structs

from signalr_bridge.errors import InternalError
from signalr_bridge.protocol.hub_message import Completion
from signalr_bridge.upstream.codecs import Codec
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import Ending, Failed, Refused, Returned, failure_text
from signalr_bridge.upstream.values import to_plain

_LOG = logging.getLogger("signalr_bridge.upstream")


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The HTTP answer. Without a ``content_type`` the body is empty."""

    status: int
    body: bytes = b""
    content_type: str | None = None


def write_answer(ending: Ending, context: Context, codec: Codec, media_type: str) -> tuple[Answer, Ending]:
    """The answer to a message, and how the message ended.

    A result that cannot be encoded makes it end as ``Failed``. Without an invocation id in the context, and for an
    overload, there is no completion.

    Args:
        ending: What came of the message.
        context: The message's context.
        codec: Writes the completion.
        media_type: The media type of what ``codec`` writes.

    Raises:
        Overloaded, InternalError: As ``check_failure`` does, when there is no completion.
    """
    invocation_id = context.invocation_id
    if invocation_id is None or (isinstance(ending, Failed) and ending.overload is not None):
        check_failure(ending)
        return Answer(200), ending
    try:
        body = _write(codec, _complete(ending, invocation_id, context.event))
    except Exception as error:  # whatever an author's objects raise while they are encoded
        _LOG.exception("result cannot be encoded", extra={"hub": context.hub, "event": context.event})
        ending = Failed(type(error).__name__)
        body = codec.write_completion(_complete(ending, invocation_id, context.event))
    return Answer(200, body, media_type), ending


def check_failure(ending: Ending) -> None:
    """Raise ``Overloaded`` or ``InternalError`` for a failure, so that the status tells the service of it."""
    if isinstance(ending, Failed):
        raise ending.overload or InternalError("A handler of this event failed.")


def _write(codec: Codec, completion: Completion) -> bytes:
    try:
        return codec.write_completion(completion)
    except TypeError:  # an object that the codec does not know, such as a pydantic model
        return codec.write_completion(structs.replace(completion, result=to_plain(completion.result)))


def _complete(ending: Ending, invocation_id: str, method: str) -> Completion:
    match ending:
        case Returned(result):
            return Completion(invocation_id, result=result, has_result=True)
        case Refused(reason):
            return Completion(invocation_id, error=reason)
        case Failed():
            return Completion(invocation_id, error=failure_text(method))
