"""Pictures to upload, in whatever form users pass them, as files with the right media type.

The API refuses pictures that are sent as application/octet-stream, which is what a file name that
says nothing leads to. So the media type is derived from the first bytes.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import stat
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen

from ..errors import InvalidArgumentError
from ..http.file_sources import Source, readable, source_of
from ..images.data import decoded
from ..images.format import image_format, image_size, media_type_of
from ..images.pil import PILImage, encoded
from ..images.reading import MAX_IMAGE_SIZE, ImageFile, Readable, read_file
from ..images.text import check_scheme, hint

# Enough to find the width and height of nearly all pictures: in a JPEG they follow the thumbnail.
_HEAD = 64 * 1024
# The rules of dall-e-2: https://platform.openai.com/docs/api-reference/images
_DALL_E_2_SIZE = 4 * 1024 * 1024


@frozen
class Upload:
    """A picture that has been read, or only its beginning."""

    name: str
    content: bytes | Path | Source
    """A path or an open file is read while it is sent."""
    size: int
    head: bytes
    media_type: str
    headers: Mapping[str, str]

    @property
    def file(self) -> tuple[str, bytes | Path | Source, str, Mapping[str, str]]:
        """The tuple for a form."""
        return self.name, self.content, self.media_type, self.headers

    def check_dall_e_2(self, argument: str, *, square: bool = True) -> None:
        """Refuse what dall-e-2 refuses.

        Raises:
            InvalidArgumentError: it is not a PNG, not square, or too large.
        """
        kind, sides = image_format(self.head), image_size(self.head)
        if kind != "png":
            found = "in an unknown format" if kind is None else kind.upper()
            msg = f"{argument} is {found}: dall-e-2 accepts only PNG."
        elif square and sides is not None and sides[0] != sides[1]:
            msg = f"{argument} is {sides[0]} x {sides[1]} pixels: dall-e-2 accepts only squares."
        elif self.size >= _DALL_E_2_SIZE:
            msg = f"{argument} has {self.size:,} bytes: dall-e-2 accepts only files below 4 MB."
        else:
            return
        raise InvalidArgumentError(msg)


async def upload_of(argument: str, file: ImageFile) -> Upload:
    """The picture that the user has passed as `argument`.

    Raises:
        InvalidArgumentError: there is no such file, or it is not a picture.
    """
    source: Any = file
    name: Any
    media_type: Any
    headers: Any
    name, media_type, headers = None, None, None
    if isinstance(file, tuple):
        if not 2 <= len(file) <= 4:
            msg = (
                f"{argument} is a tuple of length {len(file)}: "
                "pass (filename, content, media_type)."
            )
            raise InvalidArgumentError(msg)
        name, source, media_type, headers = (*file, None, None)[:4]
    content, its_name = await _content(argument, source)
    if isinstance(content, bytes):
        head, size = content, len(content)
    elif isinstance(content, Path):
        head, size = await asyncio.to_thread(_head_of, argument, content)
    else:
        head, size = await asyncio.to_thread(_head_of_open, content)
    if size > MAX_IMAGE_SIZE:
        msg = f"{argument} is larger than {MAX_IMAGE_SIZE // 2**20} MiB: scale the picture down."
        raise InvalidArgumentError(msg)
    kind = image_format(head)
    if not media_type:
        if kind is None:
            what = "is empty" if not size else "is not a picture in a known format"
            msg = f"{argument} {what}: pass a PNG, JPEG or WebP file."
            raise InvalidArgumentError(msg)
        media_type = media_type_of(kind)
    return Upload(
        name=name or its_name or f"{argument}.{kind or 'bin'}",
        content=content,
        size=size,
        head=head[:_HEAD],
        media_type=media_type,
        headers=headers or {},
    )


async def _content(argument: str, source: Any) -> tuple[bytes | Path | Source, str]:
    """The bytes, the path or the open file, and the name of the file, if any."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), ""
    if isinstance(source, PILImage):
        return await asyncio.to_thread(encoded, source), ""
    if isinstance(source, str) and source[:20].lstrip().lower().startswith("data:"):
        return await asyncio.to_thread(_from_data_url, argument, source), ""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if not path:
            msg = f"{argument} is an empty path."
            raise InvalidArgumentError(msg)
        if isinstance(source, str):
            _check_text(argument, source)
        return Path(path), os.path.basename(path)  # noqa: PTH119 - a `Path` drops a final dot
    if isinstance(source, io.RawIOBase | io.BufferedIOBase) and (
        source.closed or (source.seekable() and not inspect.iscoroutinefunction(source.read))
    ):
        opened = source_of(argument, source)
        return opened, opened.name
    if isinstance(source, Readable):
        name = getattr(source, "name", None)
        return await read_file(source), Path(name).name if isinstance(name, str) else ""
    msg = (
        f"{argument} has type {type(source).__name__}: "
        "pass a path, bytes, an open file or a PIL image."
    )
    raise InvalidArgumentError(msg)


def _check_text(argument: str, text: str) -> None:
    if text[:20].lstrip().lower().startswith(("http://", "https://")):
        msg = (
            f'{argument} is a URL, which cannot be uploaded: pass {{"image_url": url}}, '
            "so that the server fetches it."
        )
        raise InvalidArgumentError(msg)
    check_scheme(text)


def _from_data_url(argument: str, url: str) -> bytes:
    try:
        return decoded(url)
    except ValueError as error:
        msg = f"{argument} is a data URL whose base64 is damaged: encode the picture again."
        raise InvalidArgumentError(msg) from error


def _head_of(argument: str, path: Path) -> tuple[bytes, int]:
    """The first bytes of a file, and its size."""
    name = repr(str(path)[:200])
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            what = "a directory" if stat.S_ISDIR(found.st_mode) else "a device or pipe"
            msg = f"{argument} is {what}, {name}: pass the path of a file."
            raise InvalidArgumentError(msg)
        with path.open("rb") as file:
            return file.read(_HEAD), found.st_size
    except FileNotFoundError as error:
        advice = hint(str(path))
        msg = f"{argument}: there is no file {name}{advice and f': {advice}'}."
        raise InvalidArgumentError(msg) from error
    except (OSError, ValueError) as error:  # no permission, a null byte in the path
        reason = getattr(error, "strerror", None) or error
        raise InvalidArgumentError(f"{argument}: cannot read {name}: {reason}.") from error


def _head_of_open(source: Source) -> tuple[bytes, int]:
    """The first bytes of an open file, from where it stands, and how many there are."""
    with closing(source.open()) as reader, readable(source):
        head = reader.read(_HEAD)
    return head, source.size() or 0
