"""Pictures as input: `image_part()` turns a picture in any form into a content part."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from .errors import InvalidArgumentError
from .images import reading
from .images.data import MIN_PICTURE, decoded, start_of
from .images.format import ImageFormat, image_format
from .images.pil import PILImage, encoded
from .images.reading import ImageSource
from .images.text import check_scheme, damage, hint, is_damaged
from .types.chat_params import ContentPartImage, ImageURL

__all__ = ("ImageFormat", "ImageSource", "image_format", "image_part")

# The formats that models can read (https://platform.openai.com/docs/guides/images-vision).
_READABLE = ("png", "jpeg", "gif", "webp")
# How to convert other formats to one of these. Pillow alone opens all that are not listed.
_CONVERSIONS = {
    "heic": "convert it, or pass what PIL.Image.open returns with the pillow-heif package",
    "jxl": "convert it",
    "svg": "render it as a PNG first, for example with `cairosvg in.svg -o out.png`",
}
_CONVERT = "convert it, or pass what PIL.Image.open returns"
# The errors from opening text that is not a path: no such file, or name too long.
_NOT_A_PATH = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


async def image_part(
    source: ImageSource, *, detail: Literal["auto", "low", "high", "original"] | None = None
) -> ContentPartImage:
    """A content part for a picture, to go beside text in a user message's `content`.

    Args:
        source: a path; the bytes of a PNG, JPEG, GIF or WebP file; an http(s) URL (passed on for
            the server to fetch); a data URL or base64; an open binary file or anything else with a
            `read()`, sync or async; a PIL image.
        detail: how closely the model looks, and so how many tokens the picture costs.

    Raises:
        InvalidArgumentError: there is no such file, or it is not a picture in one of these formats.

    Example::

        content = [{"type": "text", "text": "What is this?"}, await image_part("cat.png")]
    """
    if detail not in (None, "auto", "low", "high", "original"):
        msg = f'detail is {detail!r}: pass "auto", "low", "high" or "original".'
        raise InvalidArgumentError(msg)
    image_url: ImageURL = {"url": await _url(source)}
    if detail is not None:
        image_url["detail"] = detail
    return {"type": "image_url", "image_url": image_url}


async def _url(source: ImageSource) -> str:
    if isinstance(source, str):
        scheme = source[:20].lstrip().lower()
        if scheme.startswith(("http://", "https://")):
            return _checked_http(source.strip())
        if scheme.startswith("data:"):
            return await asyncio.to_thread(_from_data_url, source)
        check_scheme(source)
        if not source:
            msg = "The path of the picture is empty."
            raise InvalidArgumentError(msg)
        return await asyncio.to_thread(_from_path, source)
    if isinstance(source, os.PathLike):
        return await asyncio.to_thread(_from_path, source)
    if isinstance(source, bytes | bytearray | memoryview):
        return await asyncio.to_thread(_data_url, bytes(source), "These bytes are")
    if isinstance(source, PILImage):
        return await asyncio.to_thread(lambda: _data_url(encoded(source), "The PIL image is"))
    if isinstance(source, reading.Readable):  # pyright: ignore[reportGeneralTypeIssues]
        return await asyncio.to_thread(_data_url, await reading.read_file(source), "The file is")
    msg = (
        f"A value of type {type(source).__name__} is not a picture: "
        "pass a path, bytes, a URL, an open file or a PIL image."
    )
    raise InvalidArgumentError(msg)


def _checked_http(url: str) -> str:
    try:
        host, path = urlsplit(url).hostname, urlsplit(url).path
    except ValueError:
        host = path = None
    if not host or any(character.isspace() for character in url):
        msg = f"{url[:80]!r} is not a valid URL: it needs a host and no spaces."
        raise InvalidArgumentError(msg)
    if path and path.lower().endswith((".svg", ".svgz")):
        advice = f"{_CONVERSIONS['svg']}, and pass that"
        msg = f"{url[:80]!r} is an SVG, which models cannot read: {advice}."
        raise InvalidArgumentError(msg)
    return url


def _from_path(path: str | os.PathLike[str]) -> str:
    name = repr(os.fspath(path)[:200])
    try:
        with Path(path).open("rb") as file:
            data = file.read(reading.MAX_IMAGE_SIZE + 1)
    except (OSError, ValueError) as error:  # a directory, no permission, a null byte in the path
        number = getattr(error, "errno", None)
        # A file of that name takes precedence; if there is none, the text may be base64.
        if number in _NOT_A_PATH and (picture := _from_base64(str(path))):
            return _data_url(picture, "The base64 text is")
        if number == errno.ENOENT:
            advice = hint(os.fspath(path))
            msg = f"There is no file {name}{advice and f': {advice}'}."
        elif number == errno.ENAMETOOLONG:
            msg = f"{name} is too long for a path, and it is not the base64 of a picture."
        else:
            msg = f"Cannot read {name}: {getattr(error, 'strerror', None) or error}."
        raise InvalidArgumentError(msg) from error
    return _data_url(data, f"{name} is")


def _from_data_url(url: str) -> str:
    try:
        data = decoded(url)
    except ValueError as error:
        msg = f"The base64 in the data URL is damaged: {damage(url)}."
        if "," not in url:
            msg = 'The data URL has no comma: write it like "data:image/png;base64,...".'
        raise InvalidArgumentError(msg) from error
    return _data_url(data, "The data URL is")


def _from_base64(text: str) -> bytes | None:
    """The picture that the text encodes as base64; `None` if it does not.

    Raises:
        InvalidArgumentError: the text was meant to be a picture, but is damaged.
    """
    broken = is_damaged(text)
    if image_format(start_of(text)) is None and not broken:
        return None
    try:
        data = decoded(text)
    except ValueError as error:
        if not broken:
            return None
        msg = f"The base64 text is damaged: {damage(text)}."
        raise InvalidArgumentError(msg) from error
    if len(data) < MIN_PICTURE or image_format(data) is None:
        return None
    return data


def _data_url(data: bytes, what: str) -> str:
    """The data URL, with the type detected from the bytes, whatever a name or header says."""
    if len(data) > reading.MAX_IMAGE_SIZE:
        msg = f"{what} larger than {reading.MAX_IMAGE_SIZE // 2**20} MiB: scale the picture down."
        raise InvalidArgumentError(msg)
    kind = image_format(data)
    if kind is None and (picture := _from_base64(data.decode("latin-1"))):
        data, kind = picture, image_format(picture)
    if kind in _READABLE:
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    msg = f"{what} empty." if not data else f"{what} not a PNG, JPEG, GIF or WebP picture."
    if kind is not None:
        msg = f"{msg[:-1]} but {kind.upper()}: {_CONVERSIONS.get(kind, _CONVERT)}."
    raise InvalidArgumentError(msg)
