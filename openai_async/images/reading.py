"""Reads pictures that users have opened: files and responses, sync or async."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ..errors import InvalidArgumentError
from .pil import PILImage

# OpenAI accepts 50 MB per request, vLLM a little more. The limit keeps a path like /dev/zero from
# filling the memory.
MAX_IMAGE_SIZE = 100 * 1024 * 1024


@runtime_checkable
class Readable(Protocol):
    def read(self, size: int, /) -> bytes | Awaitable[bytes]: ...


@runtime_checkable
class ReadableAtOnce(Protocol):
    """Can only be read as a whole, like the response of an HTTP client."""

    def read(self) -> bytes | Awaitable[bytes]: ...


ImageSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | ReadableAtOnce | PILImage
)


ImageFile: TypeAlias = (
    ImageSource
    | tuple[str | None, ImageSource]
    | tuple[str | None, ImageSource, str | None]
    | tuple[str | None, ImageSource, str | None, Mapping[str, str]]
)
"""A path, bytes, a data URL, an open file (sync or async), or a PIL image. As in the official SDK,
a tuple can add a name, a media type and more headers."""


async def read_file(file: Readable | ReadableAtOnce) -> bytes:
    """All bytes of a file, sync or async, or of the response of an HTTP client.

    It stops after `MAX_IMAGE_SIZE`, with more than that.

    Raises:
        InvalidArgumentError: it cannot be read, or is empty.
    """
    data = b""
    try:
        if not _takes_a_size(file):  # each call returns everything
            data = await _read(file)
        # A pipe or a stream may return fewer bytes than requested, so it is read until it ends.
        else:
            parts, size = [], 0
            while size <= MAX_IMAGE_SIZE and (part := await _read(file, MAX_IMAGE_SIZE + 1)):
                parts.append(part)
                size += len(part)
            data = b"".join(parts)
    except (OSError, ValueError, TypeError) as error:  # closed; not for reading; text
        msg = f"Cannot read the file: {error}."
        if isinstance(error, _NoBytesError):
            msg = 'The file does not return bytes: open it with mode "rb".'
        elif isinstance(error, io.UnsupportedOperation):
            msg = 'The file is not open for reading: open it with mode "rb".'
        raise InvalidArgumentError(msg) from error
    if not data:
        msg = "The file is empty, or has been read to the end: call seek(0) first."
        raise InvalidArgumentError(msg)
    return data


class _NoBytesError(TypeError):
    pass


def _takes_a_size(file: Readable | ReadableAtOnce) -> bool:
    try:
        inspect.signature(file.read).bind(MAX_IMAGE_SIZE)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature, like the standard library's files
        return True
    return True


async def _read(file: Any, *size: int) -> bytes:
    # In a thread: it may be a pipe or a file on a slow disk. An async file's read() only makes a
    # coroutine there, which belongs to this loop.
    part = await asyncio.to_thread(file.read, *size)
    if inspect.isawaitable(part):
        part = await part
    if not isinstance(part, bytes):
        raise _NoBytesError
    return part
