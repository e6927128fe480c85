"""The answer of an endpoint that sends a file: read whole, saved, or iterated over."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any, Self

from ..errors import APIResponseValidationError, OpenAIError
from ..images.saving import NewFile, check_target
from .raw import ResponseStream

# The largest answer to hold in memory, as for every other call.
MAX_READ = 512 * 1024 * 1024
# Bytes written at a time: a call in a thread costs as much as copying this many, 60 us.
WRITE_SIZE = 1024 * 1024


class BinaryContent(ResponseStream):
    """The content of a file.

    Await it, or enter it with `async with`, to send the request. Then read it once: with `read()`
    or `text()`, `save()`, or `iter_bytes()`. If it is left unread, the connection is closed::

        content = await client.files.content(file_id)
        data = await content.read()

    Raises (when opened, and when read):
        APIError: as for `client.stream`; failures before the first bytes are retried.
    """

    __slots__ = ()
    _how_to_open = "await it first, as in `content = await client.files.content(...)`"

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        return self if self._meta is not None else await super().__aenter__()

    async def read(self) -> bytes:
        """All of it.

        Raises:
            APIResponseValidationError: it is larger than 512 MiB; `save()` has no limit.
        """
        whole = io.BytesIO()
        async for data in self.iter_bytes():
            if whole.tell() + len(data) > MAX_READ:
                self._close()
                msg = "The content is larger than 512 MiB: use save(path), or iter_bytes()."
                raise APIResponseValidationError(msg, status_code=self.status, headers=self.headers)
            whole.write(data)
        return whole.getvalue()

    async def text(self) -> str:
        """All of it, as UTF-8 text; invalid bytes become U+FFFD."""
        return (await self.read()).decode("utf-8", "replace")

    async def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to `path` as it arrives, whole or not at all; returns the path.

        An existing file is replaced once everything has arrived, and keeps its mode.

        Raises:
            InvalidArgumentError: `path` is a directory or a device, or its directory is missing.
            OpenAIError: the file cannot be written.
            APIError: the content did not arrive in full.
        """
        target = await asyncio.to_thread(check_target, path)
        file = NewFile(target)
        try:
            pending = bytearray()
            async for data in self.iter_bytes():
                pending += data
                if len(pending) >= WRITE_SIZE:
                    await asyncio.to_thread(file.write, bytes(pending))
                    pending.clear()
            await asyncio.to_thread(file.write, bytes(pending))
            await asyncio.to_thread(file.replace)
        except BaseException:
            file.discard()
            self._close()  # the bytes read so far are lost
            raise
        return Path(path)

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive, decompressed; a slow reader slows the server down."""
        if self._ended:
            msg = "This content has been read: keep what was read, or request it again."
            raise OpenAIError(msg)
        async for data in self:
            yield data

    async def close(self) -> None:
        """Close the connection, unless the content has been read to its end."""
        self._close()
