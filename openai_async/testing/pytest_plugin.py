"""Fixtures for pytest, which loads this file in every run: `openai_server` and `openai_client`.

What they need is imported when a test uses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..client import AsyncClient
    from .server import LocalServer

_MARKER = "openai_server"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{_MARKER}(**options): options of LocalServer for the fixture with this name"
    )


@pytest.fixture
def openai_server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalServer]:
    """An OpenAI-compatible server in a thread; OPENAI_BASE_URL and OPENAI_API_KEY point to it.

    Its options can be set with `@pytest.mark.openai_server(...)`.
    """
    from .server import LocalServer

    marker = _marker(request)
    with LocalServer(*marker.args, **marker.kwargs) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", _key(marker))
        yield server


@pytest.fixture
def openai_client(
    request: pytest.FixtureRequest, openai_server: LocalServer
) -> Iterator[AsyncClient]:
    """An `AsyncClient` for `openai_server`, usable in any event loop; closed after the test."""
    import asyncio

    from ..client import AsyncClient

    client = AsyncClient(base_url=openai_server.url, api_key=_key(_marker(request)))
    yield client
    # In a new loop, as the test's may be closed. The thread's current loop is left as it is.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(client.close())


def _marker(request: pytest.FixtureRequest) -> pytest.Mark:
    """The test's marker, or one without options."""
    default = getattr(pytest.mark, _MARKER).mark
    found: pytest.Mark = request.node.get_closest_marker(_MARKER, default)
    return found


def _key(marker: pytest.Mark) -> str:
    return marker.kwargs.get("api_key") or "local"
