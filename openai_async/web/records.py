"""What a `Broadcast` writes into its store, and how it is read again.

    {"object": "broadcast.start", "n": 1, "tools": false}
    the chunks, as they came; in a run of tools also, between its answers,
    {"object": "broadcast.called", "index": 0, "id": "call_1"}
    {"object": "broadcast.result", "id": "call_1", "content": "7", ...}
    {"object": "broadcast.end", "usage": {...} or null, "error": {...} or null}

Records are numbered from 1; the browser gets this number as the id of the record's events.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from attrs import asdict

from .. import errors
from ..errors import APIError, APITimeoutError, ConflictError, NotFoundError, OpenAIError
from ..jsontext import dumps, loads
from ..relay.forms import SSEForm, form_of
from ..relay.page_form import Called, PageForm, Piece, Result
from ..relay.relay import Pipe
from ..relay.steps import no_tools
from ..relay.text import counts
from ..types.chat import ChatCompletionChunk, CompletionUsage
from ..types.chat_common import EstimatedUsage
from ..types.think_tags import ThinkTagsOption
from .stores import BroadcastStore

_START, _END = "broadcast.start", "broadcast.end"
_STEPS: dict[str, type[Called | Result]] = {"broadcast.called": Called, "broadcast.result": Result}


def start_record(n: int, *, tools: bool) -> bytes:
    """The first record: how many choices were requested, and whether it is a run of tools."""
    return dumps({"object": _START, "n": n, "tools": tools})


def record_of(piece: Piece) -> bytes:
    if isinstance(piece, ChatCompletionChunk):
        return piece.to_json().encode()
    name = next(name for name, kind in _STEPS.items() if isinstance(piece, kind))
    return dumps({"object": name, **asdict(piece)})


def end_record(
    usage: CompletionUsage | None, error: OpenAIError | None, *, reason: str | None = None
) -> bytes:
    """The last record. It has an error's class, and what a browser may know about it: a `reason`
    for the logs of its readers, or the safe text.
    """
    failure = None
    if error is not None:
        failure = {
            "class": type(error).__name__,
            "message": reason or error.safe_message,
            "status_code": getattr(error, "status_code", None),
            "retry_after": getattr(error, "retry_after", None),
        }
    return dumps({"object": _END, "usage": usage and counts(usage), "error": failure})


async def check_unused(store: BroadcastStore, id: str) -> None:
    """
    Raises:
        ConflictError: the store has an answer with this id, whose records would get mixed up.
    """
    async for _ in _within(None, store.read(id, 0)):
        msg = f"The store already has a broadcast {id!r}: give each answer an id of its own."
        raise ConflictError(msg, status_code=409)


def _error(failure: dict[str, Any]) -> OpenAIError:
    kind: Any = getattr(errors, failure["class"], OpenAIError)
    more = {}
    if issubclass(kind, APIError):
        more = {name: failure[name] for name in ("status_code", "retry_after")}
    made: OpenAIError = kind(failure["message"], **more)
    return made


class Reading:
    """Reads the records that follow number `after` into a pipe, as events in a form."""

    def __init__(
        self,
        store: BroadcastStore,
        id: str,
        form: SSEForm,
        after: int,
        idle: float | None,
        think_tags: ThinkTagsOption,
    ) -> None:
        self.form = form_of(form, chat=True, think_tags=think_tags)
        self._name = form
        self._think_tags: ThinkTagsOption = think_tags
        self._id = id
        self._after = after
        self._records = _within(idle, store.read(id, 0))

    def failed(self, error: OpenAIError) -> bytes:
        return self.form.error(error)

    async def copy(self, pipe: Pipe) -> None:
        number = 0
        async for record in self._records:
            number += 1
            if number % 100 == 0:  # a store in memory never waits, and others must get their turn
                await asyncio.sleep(0)
            value = loads(record)
            kind = value.get("object")
            if kind == _END and value["error"] is not None:
                raise _error(value["error"])
            if kind == _START:
                if value["tools"] and self._name == "chunks":
                    raise no_tools(self._name)
                self.form = form_of(
                    self._name, chat=True, n=value["n"], think_tags=self._think_tags
                )
                continue
            # Records that the browser already has are read too: later events depend on them.
            data = self._last_events(value) if kind == _END else self._events(value)
            if number > self._after:
                pipe.open()
                if data:
                    await pipe.put(_with_id(data, number))
            if kind == _END:
                return
        msg = f"There is no broadcast {self._id!r}, or it has expired."
        raise NotFoundError(msg, status_code=404)

    def _events(self, value: dict[str, Any]) -> bytes:
        kind = _STEPS.get(value.get("object", ""))
        if kind is None:
            return self.form.chunk(ChatCompletionChunk.from_dict(value))
        del value["object"]
        assert isinstance(self.form, PageForm)
        return self.form.piece(kind(**value))

    def _last_events(self, value: dict[str, Any]) -> bytes:
        usage = value["usage"]
        kind = EstimatedUsage if usage and usage.get("estimated") else CompletionUsage
        return self.form.end(usage and kind.from_dict(usage))


def _with_id(data: bytes, number: int) -> bytes:
    """The events, with the id in the last: a browser that has it has them all."""
    last = data.rfind(b"\n\n", 0, -2) + 2 if b"\n\n" in data[:-2] else 0
    return b"%bid: %d\n%b" % (data[:last], number, data[last:])


async def _within(idle: float | None, records: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The records; waits at most `idle` seconds for each, as their writer may have died."""
    while True:
        limit = asyncio.timeout(idle)
        try:
            async with limit:
                record = await anext(records)
        except StopAsyncIteration:
            return
        except Exception as error:
            if not limit.expired():
                raise store_failure(error) from error
            msg = f"The broadcast has been silent for {idle:g} s: its process has probably ended."
            raise APITimeoutError(msg) from error
        yield record


def store_failure(error: Exception) -> OpenAIError:
    """The exception for a failure of the store."""
    return OpenAIError(f"The store of the broadcast failed: {type(error).__name__}: {error}")
