"""One answer for several readers while it is written: after a reload, in a second tab, in a log."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import uuid
import weakref
from collections.abc import Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import Self

from ..errors import InvalidArgumentError, OpenAIError, StreamInterruptedError
from ..options import is_number
from ..relay import KEEP_ALIVE
from ..relay.forms import SSEForm
from ..relay.relay import Copy, Pipe, Relay
from ..relay.steps import no_tools
from ..types.think_tags import ThinkTagsOption
from .answers import Answers, check_answers, choices, has_tools, pieces, usage_of
from .records import Reading, check_unused, end_record, record_of, start_record, store_failure
from .stores import BroadcastStore, MemoryStore

log = logging.getLogger("openai_async")

IDLE = 360.0
"""Seconds of silence after which the process that writes an answer is presumed dead: more than the
300 s after which a silent stream fails in that process."""
# A Last-Event-ID that we sent. No answer has a billion chunks.
_NUMBER = re.compile("[0-9]{1,9}")
# Seconds allowed for storing the last record.
END_WITHIN = 5.0


class JoinedBroadcast:
    """An answer in a store, perhaps written by another process; made by `Broadcast.join`."""

    _has_tools = False
    """Whether this is known to be a run of tools; of a joined answer, only its store knows."""

    def __init__(self, id: str, store: BroadcastStore, idle: float | None) -> None:
        if not isinstance(id, str) or not id:
            msg = f"id is {id!r}: pass a string that is not empty."
            raise InvalidArgumentError(msg)
        if not all(callable(getattr(store, name, None)) for name in ("append", "read", "end")):
            msg = (
                f"store has type {type(store).__name__}: pass a BroadcastStore, like MemoryStore()."
            )
            raise InvalidArgumentError(msg)
        if idle is not None and not (is_number(idle) and idle > 0):
            msg = f"idle is {idle!r}: pass a number of seconds above 0, or None."
            raise InvalidArgumentError(msg)
        self.id = id
        self._store = store
        self._idle = idle

    def sse(
        self,
        *,
        form: SSEForm = "chunks",
        keep_alive: float | None = KEEP_ALIVE,
        last_event_id: str | None = None,
        think_tags: ThinkTagsOption = False,
    ) -> Relay:
        """The answer as server-sent events, from its beginning or after an event.

        Args:
            form, keep_alive, think_tags: as for `stream.sse`, but without `"raw"`.
            last_event_id: the browser's `Last-Event-ID`; ignored if it is not a number.

        Raises:
            InvalidArgumentError: there is no such form.
        """
        if str(form) == "raw":
            msg = (
                'form="raw" is not for a Broadcast, which keeps chunks: '
                'pass "chunks", "text" or "ui".'
            )
            raise InvalidArgumentError(msg)
        if self._has_tools and form == "chunks":
            raise no_tools(form)
        known = _NUMBER.fullmatch(last_event_id or "")
        after = int(known[0]) if known else 0
        reading = Reading(self._store, self.id, form, after, self._idle, think_tags)
        return Relay(
            self._begun_by(reading.copy),
            failed=reading.failed,
            headers=reading.form.headers,
            keep_alive=keep_alive,
        )

    def _begun_by(self, copy: Copy) -> Copy:
        return copy


class Broadcast(JoinedBroadcast):
    """An answer that several browsers can read, each from its beginning, while it is written.

    From the first reader or `start()` on, the stream is read to its end, whether anybody listens
    or not. Keep a reference as long as browsers may join. `aclose()` or leaving its
    `async with` hangs up; so does dropping it, unless somebody is reading it.

    Example::

        broadcasts[id] = Broadcast(client.chat.completions.create(..., stream=True))
        return await sse_response(request, broadcasts[id])

    Args:
        stream: what `create(..., stream=True)`, `run_tools` or `Conversation.stream` returns.
        store: where the chunks are kept; by default a new `MemoryStore`, which lives as long as the
            broadcast.
        id: the name of the answer in the store, used once; random by default.
        idle: seconds of silence after which readers give up. It must be longer than the client's
            `Timeout(idle=300)`.

    Raises:
        InvalidArgumentError: an argument is wrong, or the stream has been read.
        OpenAIError: the stream was closed.
    """

    def __init__(
        self,
        stream: Answers,
        *,
        store: BroadcastStore | None = None,
        id: str | None = None,
        idle: float | None = IDLE,
    ) -> None:
        check_answers(stream)
        super().__init__(
            uuid.uuid4().hex if id is None else id,
            MemoryStore(math.inf) if store is None else store,
            idle,
        )
        self._named = id is not None
        self._has_tools = has_tools(stream)
        self._stream: Answers | None = stream
        self._begun = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def join(cls, id: str, *, store: BroadcastStore, idle: float | None = IDLE) -> JoinedBroadcast:
        """The answer with this id, which another process may be writing.

        If there is none, the response is a 404.

        Args:
            id: the id of a `Broadcast` with the same store.
            store: where its chunks are.
            idle: seconds of silence after which the process that writes it is presumed dead.
        """
        return JoinedBroadcast(id, store, idle)

    async def start(self) -> Self:
        """Begin to read the stream before anybody joins. Returns once others can join by id.

        Raises:
            ConflictError: the store already has an answer with this id.
            OpenAIError: the store failed, or the broadcast was closed before it began.
        """
        stream, self._stream = self._stream, None
        if stream is not None:
            write = _write(stream, self._store, self.id, self._begun, named=self._named)
            self._task = asyncio.create_task(write)
            self._task.add_done_callback(partial(_over, self._begun))
        elif self._task is None:
            msg = "This Broadcast was closed before it began: make another."
            raise OpenAIError(msg)
        await self._begun.wait()
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()
        return self

    def add_done_callback(self, callback: Callable[[Broadcast], object]) -> None:
        """Call `callback` with this Broadcast, once, when the answer has ended or failed.

        Raises:
            OpenAIError: it has not begun: `await broadcast.start()` first.
        """
        if self._task is None:
            msg = "This Broadcast has not begun: await its start() first."
            raise OpenAIError(msg)
        this = weakref.ref(self)  # the task must not keep it alive

        def done(_: object) -> None:
            if (broadcast := this()) is not None:
                callback(broadcast)

        self._task.add_done_callback(done)

    async def aclose(self) -> None:
        """Hang up, unless the answer has ended; readers get an error as their last event."""
        self._stream = None
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        task = getattr(self, "_task", None)
        if task is not None and not task.done():
            with suppress(RuntimeError):  # the loop is closed, and has ended its tasks
                task.get_loop().call_soon_threadsafe(task.cancel)

    def _begun_by(self, copy: Copy) -> Copy:
        async def begin(pipe: Pipe) -> None:
            await self.start()
            await copy(pipe)

        return begin


async def _write(
    stream: Answers, store: BroadcastStore, id: str, begun: asyncio.Event, *, named: bool
) -> None:
    """The task of a broadcast. It must not refer to the broadcast, which cancels the task when it
    is dropped.
    """
    if named:
        await check_unused(store, id)
    try:
        await _append(store, id, start_record(choices(stream), tools=has_tools(stream)))
        begun.set()
        async with aclosing(pieces(stream)) as read:
            async for piece in read:
                await _append(store, id, record_of(piece))
        end = end_record(usage_of(stream), None)
    except asyncio.CancelledError:
        closed = "The broadcast was closed before the answer was complete."
        await _end(store, id, end_record(None, StreamInterruptedError(closed), reason=closed))
        raise
    except OpenAIError as failure:
        log.warning("The answer of a broadcast failed: %s", failure)
        end = end_record(None, failure)
    except Exception:  # from a middleware, or from `on_tool_error`
        log.exception("The app failed during a broadcast.")
        end = end_record(None, OpenAIError("The app failed."))
    await _end(store, id, end)
    if not begun.is_set():
        msg = "The store of the broadcast failed before the answer began: see the log."
        raise OpenAIError(msg)


async def _append(store: BroadcastStore, id: str, record: bytes) -> None:
    try:
        await store.append(id, record)
    except Exception as error:
        log.exception("The store of a broadcast failed.")
        raise store_failure(error) from error


def _over(begun: asyncio.Event, task: asyncio.Task[None]) -> None:
    begun.set()  # `_write` never runs if it is cancelled at once
    if not task.cancelled():
        task.exception()  # asyncio need not report it: `start` raises it, unless cancelled


async def _end(store: BroadcastStore, id: str, record: bytes) -> None:
    """Store the last record, even if the broadcast is closed meanwhile: its readers need it."""
    storing = asyncio.create_task(_store_end(store, id, record))
    try:
        await asyncio.shield(storing)
    except asyncio.CancelledError:
        await asyncio.wait((storing,))
        raise


async def _store_end(store: BroadcastStore, id: str, record: bytes) -> None:
    try:
        async with asyncio.timeout(END_WITHIN):
            await store.end(id, record)
    except Exception:  # nobody awaits this task; the readers give up after `idle`
        log.exception("The end of a broadcast could not be stored.")
