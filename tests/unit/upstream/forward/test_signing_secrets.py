"""A forward's secrets change while it runs: the next attempt is signed with the new ones, and nothing else changes."""

from datetime import UTC, datetime

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings.model import ForwardSettings
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.forward import Forward, build_forwards
from signalr_bridge.upstream.forward.queue import Backlog
from signalr_bridge.upstream.forward.rule import build_signers
from signalr_bridge.web.observer import SILENT
from standardwebhooks import Webhook, WebhookVerificationError

from tests.unit.upstream.fakes import FakeOutbox

OLD, NEW = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4"


def rule(secret: str, url: str = "http://backend") -> ForwardSettings:
    return ForwardSettings.model_validate({"url": url, "secrets": [secret]})


class World:
    """A forward, and what signs its calls at this moment."""

    def __init__(self) -> None:
        self.signers = build_signers({"orders": rule(OLD)})
        settings = {"orders": rule(OLD)}
        (self.forward,) = build_forwards(
            settings,
            lambda: self.signers,
            Backends(lambda: 0.0),
            FakeOutbox(),
            Backlog(),
            runtime=RUNTIME,
            observer=SILENT,
        )


def signs_with(one: Forward, secret: str) -> bool:
    headers = vars(one)["_signers"]()[one.source].sign("msg_1", datetime.now(UTC), b"{}")
    try:
        Webhook(secret).verify(b"{}", headers)
    except WebhookVerificationError:
        return False
    return True


def test_the_next_attempt_is_signed_with_the_new_secret() -> None:
    world = World()
    one = world.forward
    prepared = build_signers({"orders": rule(NEW, "http://another")})
    assert (signs_with(one, OLD), signs_with(one, NEW)) == (True, False), "prepared, and not done yet"
    world.signers = prepared
    assert (signs_with(one, OLD), signs_with(one, NEW)) == (False, True)
    assert vars(one)["_rule"].origin == "http://backend"


def test_a_secret_that_is_none_is_refused_beforehand() -> None:
    one = World().forward
    with pytest.raises(SettingsError, match="BRIDGE_FORWARD__ORDERS__SECRETS"):
        build_signers({"orders": rule("not base64!")})
    assert signs_with(one, OLD)
