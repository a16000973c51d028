"""What a handler may believe of a client's claims."""

import pytest
from signalr_bridge.protocol.claims import write_lossless
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings import Settings
from signalr_bridge.upstream.authenticator import build_authenticator
from signalr_bridge.upstream.receiver import build_receiver
from signalr_bridge.web.observer import SILENT

from tests.unit.upstream.fakes import KEYS, FakeHandler, FakeOutbox, context, event, header_lines

LINE = f"role: admin, name: Bob, role: root, bridge.claims: {write_lossless({'role': ['admin']})}"


def test_our_claim_is_exact() -> None:
    given = context(claims_line=LINE, user_id="ann")
    assert (given.claims, given.claims_exact) == ({"role": ["admin"]}, True)


def test_a_user_id_that_holds_our_claim_takes_all_claims_away(caplog: pytest.LogCaptureFixture) -> None:
    forging = context(claims_line=LINE, user_id=f"x, bridge.claims: {write_lossless({'role': ['root']})}")
    assert (forging.claims, forging.claims_exact) == ({}, False)
    assert "forges" in caplog.text


@pytest.mark.parametrize("lossless", [True, False])
async def test_the_setting_reaches_the_handler(lossless: bool) -> None:
    handler = FakeHandler()
    settings = Settings.model_validate({"negotiate": {"lossless_claims": lossless}})
    known = build_authenticator(settings, lambda hub: KEYS)
    receiver = build_receiver(
        lambda: known, [handler], FakeOutbox(), most_bytes=1000, observer=SILENT, clock=RUNTIME.clock
    )

    async def read_body(limit: int) -> bytes:
        return b'{"type":1,"target":"send","arguments":[]}'

    await receiver.receive(b"", header_lines(event(claims_line=LINE)), read_body)
    [seen] = handler.seen
    assert seen.claims_exact is lossless
    assert seen.claims == ({"role": ["admin"]} if lossless else {"role": ["admin", "root"], "name": ["Bob"]})
