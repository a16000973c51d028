"""Functions as handlers of events: which events, their arguments by name, and what is believed of a client."""

from typing import Any

import pytest
from signalr_bridge.errors import HubError, Rejected
from signalr_bridge.functions.app import AppFunctions, Invoker, sort_functions
from signalr_bridge.functions.app_folder import HostFile
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.invocation import FunctionResult
from signalr_bridge.protocol.claims import write_lossless
from signalr_bridge.runtime import RUNTIME

from tests.contract.bridge.running import bridge, build
from tests.contract.functions.invoking import Code, bindings_of, describe, out, trigger
from tests.unit.upstream.fakes import context

NOWHERE = "http://127.0.0.1:1"
HI = b'{"target": "hi"}'


def functions(app: Any, code: Code, *bindings: dict[str, Any], **app_settings: str) -> AppFunctions:
    known = bindings_of(app, None, **app_settings)
    invoker = Invoker(code, known, RUNTIME)
    return sort_functions([describe(*bindings)], invoker, known, HostFile(), AppSettings(app_settings))


async def test_which_event_and_its_arguments() -> None:
    code = Code(lambda invocation: FunctionResult(result={"n": 1}))
    names = {"hubName": "%Hub%", "event": "%Event%"}
    [handler] = functions(build(NOWHERE), code, trigger("User", "text") | names, Hub="Chat", Event="Send").handlers
    assert (handler.hub, handler.category, handler.event, handler.source) == (
        *("chat", "messages", "Send"),
        "negotiate/function.json",
    )
    assert await handler.answer(context(arguments=["ann", {"a": [1]}])) == {"n": 1}
    assert code.calls[0].named == {"User": "ann", "text": {"a": [1]}}
    for arguments in ([], ["ann"], ["ann", 1, 2]):
        with pytest.raises(Rejected, match=r"^Method 'send' takes 2 argument\(s\), and was given \d\.$"):
            await handler.answer(context(arguments=arguments))
    assert len(code.calls) == 1


async def test_without_names_there_may_be_any_number() -> None:
    code = Code()
    [handler] = functions(build(NOWHERE), code, trigger()).handlers
    await handler.answer(context(arguments=[1, 2, 3]))
    [connected] = functions(
        build(NOWHERE), code, trigger("a") | {"category": "Connections", "event": "connected"}
    ).handlers
    assert connected.category == "connections"
    await connected.answer(context(category="connections", event="connected"))
    assert [one.named for one in code.calls] == [{}, {}]


async def test_a_claim_counts_where_nobody_can_have_forged_it() -> None:
    code = Code(lambda invocation: FunctionResult({"messages": HI}))
    line = f"team: forged, bridge.claims: {write_lossless({'Team': ['red']})}"
    async with bridge() as running:
        [handler] = functions(running.app, code, trigger(), out(hubName="{claims.TEAM}")).handlers
        await handler.answer(context(claims_line=line))
        assert [one.target.partition("?")[0] for one in running.seen] == ["/api/hubs/red/:send"]
        for forged in ("team: red", f"{line}, bridge.claims: e30"):
            with pytest.raises(Exception, match="its hub is not known") as caught:
                await handler.answer(context(claims_line=forged))
            assert not isinstance(caught.value, HubError), "the client is not told"
        assert len(running.seen) == 1
