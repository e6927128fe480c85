"""Hooks that write down what is called, for the tests of hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from openai_async import AsyncClient, Hooks, Request, RetryDetails, StreamEnd

from .raw_server import DONE, Exchange, RawServer, chunk, sse

Ends = list[StreamEnd]
USAGE: dict[str, Any] = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
WHOLE = (chunk("a"), chunk("b"), {**chunk(finish="stop"), "usage": USAGE}, DONE)


class Calls:
    """Writes down what is called, and keeps the ends."""

    def __init__(self, name: str = "") -> None:
        self.names: list[str] = []
        self.requests: list[Request] = []
        self.retries: list[RetryDetails] = []
        self.errors: list[BaseException] = []
        self.ends: Ends = []
        self._name = name
        self.hooks = Hooks(
            on_request=lambda request: self._call("request", request),
            on_response=lambda request, response: self._call("response", request),
            on_error=self._error,
            on_retry=self._retry,
            on_stream_end=self._end,
        )

    def _call(self, what: str, request: Request) -> None:
        self.names.append(self._name + what)
        self.requests.append(request)

    def _error(self, request: Request, error: BaseException) -> None:
        self._call("error", request)
        self.errors.append(error)

    def _retry(self, request: Request, retry: RetryDetails) -> None:
        self._call("retry", request)
        self.retries.append(retry)

    def _end(self, request: Request, end: StreamEnd) -> None:
        self._call("end", request)
        self.ends.append(end)


def ended(calls: Calls) -> StreamEnd:
    (end,) = calls.ends
    return end


async def endless(exchange: Exchange) -> None:
    await exchange.start_stream("x-request-id: req_1\r\n")
    await exchange.part(sse(chunk("a")))
    protocol: Any = exchange.writer.transport.get_protocol()
    await protocol._stream_reader.read(1)  # until the client hangs up


class RefusedError(Exception):
    pass


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
async def observed(raw: RawServer, calls: Calls) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(
        base_url=raw.url, api_key="local", max_retries=0, hooks=calls.hooks
    ) as client:
        yield client
