"""Two bridges in one process: each handler sends by its own, and a call that does not fit is told of everywhere."""

import asyncio
import json
import logging
from typing import Any

import pytest
from signalr_bridge import NotRunning
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.upstream.python.loading import PythonHandlers

from tests.contract.bridge.running import SERVICE, Bridge, bridge
from tests.contract.upstream.ordering import clients
from tests.unit.upstream.fakes import event, header_lines

SETTINGS = {"BRIDGE_HANDLERS": "tests.contract.upstream.ordering:chat", "BRIDGE_UPSTREAM__CODE": "code"}


async def order(to: Bridge, *arguments: Any) -> dict[str, Any]:
    message = {"type": 1, "invocationId": "7", "target": "order", "arguments": arguments}
    headers = header_lines(event(event="order", user_id="ann"), x_asrs_signature=sign("c1", SERVICE))
    answer = await to.http.post("/upstream?code=code", content=json.dumps(message), headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.content.rstrip(b"\x1e"))
    return found


def targets(of: Bridge) -> list[str]:
    return [json.loads(one.body)["target"] for one in of.seen]


async def test_each_handler_and_each_start_sends_by_its_own_bridge() -> None:
    async with bridge(**SETTINGS) as one:
        assert targets(one) == ["up"]
        await clients.all.send("outside")  # of the only bridge of the process
        async with bridge(**SETTINGS) as other:
            assert targets(other) == ["up"]
            for asked in (one, other, one):
                assert (await order(asked, {"lines": [{"article": "tea"}]}))["result"] == 1
            with pytest.raises(NotRunning, match=r"^2 bridges run in this process"):
                await clients.all.send("outside")
        assert targets(other) == ["up", "ordered", "down"]
        await clients.all.send("outside again")
    assert targets(one) == ["up", "outside", "ordered", "ordered", "outside again", "down"]
    with pytest.raises(NotRunning, match=r"^No bridge runs"):
        await clients.all.send("outside")


TEXT = (
    "Method 'order': the argument 'order' must be Purchase: field 'lines.0.article' is missing; "
    "field 'lines.0.count' must be an integer, and is a string; field 'lines.1.count' must be greater than 0"
)
WRONG = {"lines": [{"count": "canary"}, {"article": "canary", "count": -77}], "canary": 1}


async def test_what_does_not_fit_is_told_in_the_answer_the_events_and_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bridge(**SETTINGS, BRIDGE_CONSOLE="true") as one:
        with caplog.at_level(logging.INFO):
            assert (await order(one, WRONG))["error"] == f"{TEXT}."
        [record] = [one for one in caplog.records if one.message == "arguments do not fit"]
        assert getattr(record, "reason", None) == f"{TEXT}."
        assert getattr(record, "handler", None) == "tests.contract.upstream.ordering:order"
        assert "canary" not in caplog.text
        with one.app.state.parts.events.listen() as stream:
            chunks = aiter(stream)
            assert (await anext(chunks)).startswith(b"retry")
            shown = json.loads((await anext(chunks)).partition(b"data: ")[2])
    assert shown["error"].rstrip("…") == f"{TEXT}."[:200]
    assert "field 'lines.0.count' must be an integer" in shown["error"]


async def test_code_that_is_loaded_anew_leaves_forwards_and_joins_alone() -> None:
    forward = {"BRIDGE_FORWARD__ALL__URL": "http://127.0.0.1:9", "BRIDGE_FORWARD__ALL__UNSIGNED": "true"}
    async with bridge(**SETTINGS, **forward) as one:
        parts = one.app.state.parts
        before = {handler.source for handler in parts.receiver.dispatch.handlers}
        parts.use(PythonHandlers([], [], []))
        after = {handler.source for handler in parts.receiver.dispatch.handlers}
        assert before - after == {"tests.contract.upstream.ordering:order"}
        assert len(after) == 1
        async with asyncio.timeout(10):
            while targets(one) != ["up", "down"]:  # noqa: ASYNC110 - the service tells nobody
                await asyncio.sleep(0.01)
    assert targets(one) == ["up", "down"], "the code that was replaced ends once"
