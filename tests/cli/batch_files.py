"""What the tests of `openai-async batch` share: an input, its output, and a run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openai_async.testing import LocalServer

from .cli_thread import run_beside


def write_input(path: Path, count: int = 5, *, more: Sequence[str] = ()) -> Path:
    """A file of `count` chats, q0, q1 ..., and then the lines of `more`."""
    lines = [json.dumps(request(number)) for number in range(count)]
    path.write_text("".join(f"{line}\n" for line in [*lines, *more]))
    return path


def request(number: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"What is {number} squared?"}]
    return {
        "custom_id": f"q{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-4o-mini", "messages": messages},
    }


def results(path: Path) -> dict[str, dict[str, Any]]:
    """The lines of an output, each id once."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = {line["custom_id"]: line for line in lines}
    assert len(found) == len(lines)
    return found


async def batch(
    server: LocalServer, *arguments: str | Path, key: str = "local"
) -> tuple[int, str, str]:
    return await run_beside("batch", *map(str, arguments), "--base-url", server.url, key=key)
