"""What all tests share: a clean environment, servers and clients on real sockets, a mock.

aioresponses stands in for `ClientSession._request` where sockets do not matter; `LocalServer` and
`RawServer` are real servers where they do.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses
from hypothesis import HealthCheck, settings

from openai_async import AsyncClient
from openai_async.testing import LocalServer

from .raw_server import RawServer

BASE_URL = "https://api.test/v1"

# How long an example takes says how busy the machine is. The examples of the suite are always the
# same, so that what fails is due to a change, and fails everywhere; `--hypothesis-profile=thorough`
# looks for others.
settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    print_blob=True,
)
settings.register_profile(
    "thorough", settings.get_profile("suite"), derandomize=False, max_examples=2000
)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key or URL of the developer's own reaches a test."""
    for name in ("API_KEY", "BASE_URL", "ORG_ID", "PROJECT_ID"):
        monkeypatch.delenv(f"OPENAI_{name}", raising=False)


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with LocalServer() as server:
        yield server


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[AsyncClient]:
    """A client of the LocalServer. Without retries: a test that wants them asks for them."""
    async with AsyncClient(base_url=server.url, api_key="local", max_retries=0) as client:
        yield client


@pytest.fixture
async def raw() -> AsyncIterator[RawServer]:
    async with RawServer() as server:
        yield server


@pytest.fixture
async def raw_client(raw: RawServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=raw.url, api_key="local", max_retries=0) as client:
        yield client


class _MockedResponse(ClientResponse):
    """aiohttp 3.14 wants a `stream_writer`, which aioresponses 0.7.9 does not pass.

    https://github.com/pnuckowski/aioresponses/issues/289
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """No sockets: requests to `BASE_URL` get what the test lines up."""
    monkeypatch.setattr("aioresponses.core.ClientResponse", _MockedResponse)
    with aioresponses() as mocked:
        yield mocked


@pytest.fixture
async def mocked_client(mocked: aioresponses) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=BASE_URL, api_key="sk-test-0123456789") as client:
        yield client


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that retries would have waited; they wait no time at all."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("openai_async.middleware.retry.asyncio.sleep", sleep)
    return waited
