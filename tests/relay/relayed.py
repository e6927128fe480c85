"""Relays a stream of given events, and returns what a browser would get."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from openai_async import AsyncClient
from openai_async.relay.forms import SSEForm
from openai_async.types.chat import ChatCompletionMessageParam

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from ..streaming.events import USAGE

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
USAGE_AND_DONE = sse(USAGE) + DONE


async def relayed(
    raw: RawServer, client: AsyncClient, form: SSEForm, *sent: Any, **params: Any
) -> bytes:
    """The bytes of a relay of these events."""
    raw.answer = lambda exchange: exchange.stream(*sent)
    stream = client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True, **params
    )
    return b"".join([data async for data in stream.sse(form=form)])


def answering(*answers: list[Any]) -> Callable[[Exchange], Awaitable[None]]:
    """Answers each request with the next of these."""
    rest = iter(answers)
    return lambda exchange: exchange.stream(*next(rest))


def in_halves(go_on: asyncio.Event) -> Callable[[Exchange], Awaitable[None]]:
    """The text "Hello", whose second half waits for an event."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hel")))
        await go_on.wait()
        await exchange.part(sse(chunk("lo", finish="stop")) + USAGE_AND_DONE)
        await exchange.end()

    return answer


def calling(*pieces: dict[str, object], **more: Any) -> dict[str, object]:
    """A chunk with pieces of tool calls."""
    return chunk(tool_calls=[*pieces], **more)


def lines(body: bytes) -> list[str]:
    """The events, without the blank lines between them."""
    assert body.endswith(b"\n\n")
    return body.decode().removesuffix("\n\n").split("\n\n")
