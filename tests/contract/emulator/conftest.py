"""A running emulator, its upstream, and a caller of its REST operations."""

from collections.abc import AsyncIterator

import httpx
import pytest
from signalr_bridge.emulator import Emulator, Limits

from tests.contract.emulator.parties import Upstream, bearer, serve_upstream, token


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with serve_upstream() as upstream:
        yield upstream


@pytest.fixture
async def emulator(upstream: Upstream) -> AsyncIterator[Emulator]:
    limits = Limits(grace_seconds=0.05)
    async with Emulator(0, upstream=upstream.url + "/{hub}/{category}/{event}", limits=limits) as emulator:
        yield emulator


@pytest.fixture
async def rest(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    """Calls with a good token."""
    async with httpx.AsyncClient(base_url=emulator.url, headers=bearer(token()), trust_env=False) as client:
        yield client
