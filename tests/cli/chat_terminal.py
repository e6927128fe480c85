"""A conversation of the command line on a terminal, with the server beside it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from openai_async.testing import LocalServer

from .cli_process import Terminal, environment


class Chat:
    def __init__(self, server: LocalServer, terminal: Terminal) -> None:
        self.server = server
        self.terminal = terminal

    async def enter(self, line: str, *expected: str) -> None:
        """Type a line; what is expected comes before the next prompt."""
        self.terminal.send(f"{line}\n")
        for text in (*expected, "\n> "):
            await asyncio.to_thread(self.terminal.expect, text)

    def sent(self) -> Any:
        """The last request."""
        return self.server.requests[-1].json


@asynccontextmanager
async def conversation(
    home: Path, *, columns: int = 100, env: Mapping[str, str] | None = None
) -> AsyncIterator[Chat]:
    """A conversation that has begun; in the end it is left, which must succeed."""
    async with LocalServer() as server:
        variables = environment(
            OPENAI_API_KEY="local", OPENAI_BASE_URL=server.url, HOME=str(home), **(env or {})
        )
        arguments = ("chat", "--system", "Be kind.")
        with Terminal(*arguments, env=variables, columns=columns) as terminal:
            await asyncio.to_thread(terminal.expect, "\n> ")
            yield Chat(server, terminal)
            terminal.send("exit\n")
            assert await asyncio.to_thread(terminal.exit_code) == 0
            assert "Traceback" not in terminal.screen
            assert terminal.echoes()
