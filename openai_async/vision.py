"""Pictures as input: `image_part()` makes a content part of whatever a picture comes as."""

from __future__ import annotations

import asyncio
import base64
import inspect
import io
import os
import re
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable
from urllib.parse import urlsplit

from .errors import InvalidArgumentError
from .types.chat_params import ContentPartImage, ImageURL
from .types.image_format import image_format

# OpenAI takes 50 MB a request, vLLM a little more. The bound keeps a path like /dev/zero from
# filling the memory.
MAX_IMAGE_SIZE = 100 * 1024 * 1024


@runtime_checkable
class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | Awaitable[bytes]: ...


@runtime_checkable
class _PILImage(Protocol):
    """`PIL.Image.Image`, known by its shape: Pillow need not be installed."""

    @property
    def format(self) -> str | None: ...
    @property
    def mode(self) -> str: ...
    def save(self, fp: Any, format: str | None = None, **params: Any) -> None: ...
    def convert(self, mode: str, /) -> Any: ...
    def getexif(self) -> Any: ...


ImageSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | _Readable | _PILImage
)


async def image_part(
    source: ImageSource, *, detail: Literal["auto", "low", "high"] | None = None
) -> ContentPartImage:
    """A content part for a picture, to stand beside text in a user message's `content`.

    Args:
        source: a path; the bytes of a PNG, JPEG, GIF or WebP file; an http(s) URL (passed on, the
            server fetches it) or data URL; an open binary file, async ones too; a PIL image.
        detail: how closely the model looks, and so how many tokens the picture costs.

    Raises:
        InvalidArgumentError: there is no such file, or it is no picture of these formats.

    Example::

        content = [{"type": "text", "text": "What is this?"}, await image_part("cat.png")]
    """
    if detail not in (None, "auto", "low", "high"):
        msg = f'detail is {detail!r}: pass "auto", "low" or "high".'
        raise InvalidArgumentError(msg)
    image_url: ImageURL = {"url": await _url(source)}
    if detail is not None:
        image_url["detail"] = detail
    return {"type": "image_url", "image_url": image_url}


async def _url(source: ImageSource) -> str:
    if isinstance(source, str):
        scheme = source[:20].lower()
        if scheme.startswith(("http://", "https://")):
            return _checked_http(source)
        if scheme.startswith("data:"):
            return await asyncio.to_thread(_checked_data, source)
        if re.match(r"[a-z][a-z0-9+.\-]+://", scheme):
            msg = f"{source[:80]!r} has a scheme no server reads: pass an http(s) or data URL."
            raise InvalidArgumentError(msg)
        if not source:
            msg = "The path of the picture is empty."
            raise InvalidArgumentError(msg)
        return await asyncio.to_thread(_from_path, source)
    if isinstance(source, os.PathLike):
        return await asyncio.to_thread(_from_path, source)
    if isinstance(source, bytes | bytearray | memoryview):
        return await asyncio.to_thread(_data_url, bytes(source), "These bytes are")
    if isinstance(source, _PILImage):
        return await asyncio.to_thread(_from_pil, source)
    if isinstance(source, _Readable):
        return await _from_file(source)
    msg = (
        f"No picture can be made of a value of type {type(source).__name__}: "
        "pass a path, bytes, a URL, an open file or a PIL image."
    )
    raise InvalidArgumentError(msg)


def _checked_http(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host or any(character.isspace() for character in url):
        msg = f"{url[:80]!r} is no usable URL."
        raise InvalidArgumentError(msg)
    return url


def _checked_data(url: str) -> str:
    head, comma, data = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        msg = 'A data URL of a picture looks like "data:image/png;base64,...".'
        raise InvalidArgumentError(msg)
    try:
        decoded = base64.b64decode(data, validate=True)
    except ValueError as error:
        msg = "The data URL does not hold valid base64."
        raise InvalidArgumentError(msg) from error
    # With the type that the bytes have, whatever the URL called it.
    return f"data:image/{_format(decoded, 'The data URL is')};base64,{data}"


def _from_path(path: str | os.PathLike[str]) -> str:
    name = repr(os.fspath(path))
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_IMAGE_SIZE + 1)
    except FileNotFoundError as error:
        msg = f"There is no file {name[:200]}."
        raise InvalidArgumentError(msg) from error
    except (OSError, ValueError) as error:  # a directory, no permission, a null byte in the path
        msg = f"Cannot read {name[:200]}: {getattr(error, 'strerror', None) or error}."
        raise InvalidArgumentError(msg) from error
    return _data_url(data, f"{name} is")


async def _from_file(file: _Readable) -> str:
    data = b""
    try:
        # A pipe or a stream gives less than it is asked for, so it is read until it has no more.
        while len(data) <= MAX_IMAGE_SIZE and (part := await _read_some(file)):
            data += part
    except (OSError, ValueError, TypeError) as error:  # closed; not for reading; text; no sizes
        msg = f"Cannot read the file: {error}."
        if isinstance(error, _NoBytesError):
            msg = 'The file gives no bytes: open it with mode "rb".'
        raise InvalidArgumentError(msg) from error
    return _data_url(data, "The file is")


class _NoBytesError(TypeError):
    pass


async def _read_some(file: _Readable) -> bytes:
    # In a thread: it may be a pipe or a file on a slow disk. An async file's read() only makes a
    # coroutine there, which belongs to this loop.
    part = await asyncio.to_thread(file.read, MAX_IMAGE_SIZE + 1)
    if inspect.isawaitable(part):
        part = await part
    if not isinstance(part, bytes):
        raise _NoBytesError
    return part


def _from_pil(image: _PILImage) -> str:
    """JPEG stays JPEG, everything else becomes PNG; the camera's orientation goes along."""
    buffer = io.BytesIO()
    try:
        exif = image.getexif()
        if image.format == "JPEG" and image.mode in ("RGB", "L"):
            image.save(buffer, "JPEG", quality=95, exif=exif)
        else:
            # PNG has these modes; transparency is kept in the others that have it.
            if image.mode in ("PA", "La", "RGBa"):
                image = image.convert("RGBA")
            elif image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
                image = image.convert("RGB")
            image.save(buffer, "PNG", exif=exif)
    except Exception as error:  # Pillow's own: a file that was cut, a picture without pixels
        msg = f"The PIL image cannot be encoded: {error}."
        raise InvalidArgumentError(msg) from error
    return _data_url(buffer.getvalue(), "The PIL image is")


def _data_url(data: bytes, what: str) -> str:
    kind = _format(data, what)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _format(data: bytes, what: str) -> str:
    if len(data) > MAX_IMAGE_SIZE:
        msg = f"{what} larger than {MAX_IMAGE_SIZE // 2**20} MiB: scale the picture down."
        raise InvalidArgumentError(msg)
    kind = image_format(data)
    if kind is None:
        state = "empty" if not data else "no PNG, JPEG, GIF or WebP picture"
        msg = f"{what} {state}."
        raise InvalidArgumentError(msg)
    return kind
