"""What all tests share: a clean environment, servers and clients on real sockets, a mock.

aioresponses stands in for `ClientSession._request` where sockets do not matter; `LocalServer` and
`RawServer` are real servers where they do.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from openai_async import AsyncClient
from openai_async.http.waits import PendingWaits
from openai_async.testing import LocalServer, aioresponses

from .raw_server import RawServer
from .virtual_time import VirtualTimeLoop, virtual_monotonic

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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The score of the table of faults."""
    held: Counter[str] = Counter()
    tried = 0
    stats = terminalreporter.stats
    for report in [*stats.get("passed", []), *stats.get("failed", [])]:
        for name, value in report.user_properties:
            if name == "faults":
                held[value[0]] += value[1]
                tried += value[2]
    if tried:
        groups = ", ".join(f"{group} {count}" for group, count in sorted(held.items()))
        terminalreporter.write_line(f"{held.total()} of {tried} faults held ({groups})")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of each async test: see `virtual_time`."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> None:
    """What was there before a file's tests is not scanned again by each garbage collection.

    pytest's items, modules and their caches are half a million objects; some tests collect often.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own key or URL."""
    for name in ("API_KEY", "BASE_URL", "ORG_ID", "PROJECT_ID"):
        monkeypatch.delenv(f"OPENAI_{name}", raising=False)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """`--verbose` and OPENAI_LOG set up the package's loggers, for the rest of the process."""
    loggers = [logging.getLogger(f"openai_async{name}") for name in ("", ".testing.requests")]
    were = [(log, log.level, [*log.handlers], log.propagate) for log in loggers]
    yield
    for log, level, handlers, propagate in were:
        log.setLevel(level)
        log.handlers[:] = handlers
        log.propagate = propagate


@pytest.fixture(autouse=True)
def one_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pacing, whose queues several loops share, reads the machine's clock: here the virtual one."""
    if request.node.get_closest_marker("virtual_time"):
        for module in ("base", "local"):
            clock = f"openai_async.middleware.pacing.{module}.monotonic"
            monkeypatch.setattr(clock, virtual_monotonic)


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """As OpenAI's, it knows no models but those on its list."""
    async with LocalServer(strict_models=True) as server:
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


@pytest.fixture
def mocked() -> Iterator[aioresponses]:
    """No sockets: requests to `BASE_URL` get the responses that the test registers."""
    with aioresponses() as mocked:
        yield mocked


@pytest.fixture
async def mocked_client(mocked: aioresponses) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=BASE_URL, api_key="sk-test-0123456789") as client:
        yield client


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that retries would have waited; they do not wait."""
    waited: list[float] = []

    async def sleep(self: PendingWaits, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(PendingWaits, "sleep", sleep)
    return waited
