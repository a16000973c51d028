"""A token issuer that the bridge believes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.contract.bridge.admission.openid import OpenId, run_openid


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def issuer(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenId]:
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with run_openid(authority) as running:
        yield running
