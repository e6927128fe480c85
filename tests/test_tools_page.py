"""The tools of docs/tools.md are called as the page says, those of the MCP server too."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest

from openai_async.testing import LocalServer

from .test_docs import ROOT, blocks


async def test_the_functions_of_the_page_are_called(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "local")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    names: dict[str, Any] = {"__name__": "page"}
    for _, code in blocks(ROOT / "docs" / "tools.md", "python"):
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        result = eval(compile(code, "tools.md", "exec", flags=flags), names)
        if inspect.isawaitable(result):
            await result
    called = [message for one in server.requests for message in told(one.json["messages"])]
    assert [name for name, _ in called] == [
        *("weather", "weather", "weather", "stock", "approve", "free_days")
    ]
    assert called[3][1].startswith("Not found: ")
    assert " 2" in called[5][1]
    assert " 7" in called[5][1]


def told(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The tools that were called, and their results."""
    calls = [call for message in messages for call in message.get("tool_calls", ())]
    results = [message["content"] for message in messages if message["role"] == "tool"]
    return [(call["function"]["name"], text) for call, text in zip(calls, results, strict=True)]
