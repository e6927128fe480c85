"""What the tests of all frameworks share: a LocalServer, and the code of docs/frameworks.md.

After each test, every request that the server has seen must have gone through our client.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from openai_async import AsyncClient, RateLimit, Request, Response
from openai_async.middleware import Send
from openai_async.testing import LocalServer

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"

Lines = Callable[[str], dict[str, Any]]


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalServer]:
    """A server that the environment of the official client names; nothing else is called."""
    async with LocalServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_BASE", server.url)  # llama-index reads this one
        monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
        monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        yield server


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[AsyncClient]:
    sent = 0

    async def count(request: Request, send: Send) -> Response:
        nonlocal sent
        sent += 1
        return await send(request)

    async with AsyncClient(
        base_url="http://unused.test/v1",
        api_key="unused",
        middlewares=[count],
        rate_limit=RateLimit(requests_per_minute=60_000),
    ) as client:
        yield client
        assert len(server.requests) == sent > 0
        assert client.rate_limits


@pytest.fixture
def lines(client: AsyncClient) -> Lines:
    """Runs the code of a section of the page with our client; returns the names it defines."""
    text = PAGE.read_text(encoding="utf-8")

    def run(section: str) -> dict[str, Any]:
        import openai

        from openai_async.adapters import http_client

        official = openai.AsyncOpenAI(http_client=http_client(client))
        names = {"client": client, "http_client": http_client, "official": official}
        (found,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
        for code in re.findall(r"^```python\n(.*?)^```$", found, re.DOTALL | re.MULTILINE):
            exec(compile(code, str(PAGE), "exec", dont_inherit=True), names)
        return names

    return run
