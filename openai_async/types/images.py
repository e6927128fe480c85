"""The Images API: the pictures it returns.

https://platform.openai.com/docs/api-reference/images
"""

from __future__ import annotations

import asyncio
import base64
import html
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from attrs import define, field, setters

from ..errors import APIResponseValidationError, OpenAIError
from ..images.data import picture_in, start_of
from ..images.format import ImageFormat, image_format
from ..images.saving import NewFile, check_directory, check_target
from .base import APIObject, APIResponse, note_change

# Formats that notebooks can display from base64.
_DISPLAYABLE = frozenset({"png", "jpeg", "gif", "webp", "bmp"})
# Where the extension is not the name of the format.
_EXTENSIONS = {None: "", "jpeg": ".jpg"}
_LINK = re.compile(r"\s*https?:", re.IGNORECASE)


class Downloader:
    """Downloads the picture at a URL; clients attach one to the pictures they return.

    It is left out when a picture is pickled: a client cannot be sent to another process.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        self.fetch = fetch

    def __deepcopy__(self, memo: object) -> Downloader:
        return self

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _no_downloader, ()


def _no_downloader() -> None:
    """What a pickled `Downloader` becomes."""


def _short(data: str | None) -> str:
    return "None" if data is None else f"<{len(data)} characters>"


def _short_url(url: str | None) -> str:
    return repr(url) if url is None or len(url) < 2000 else _short(url)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImagesTokensDetails(APIObject):
    """Tokens by kind."""

    text_tokens: int = 0
    image_tokens: int = 0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImagesUsage(APIObject):
    """Tokens used by a GPT image model."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: ImagesTokensDetails | None = None
    output_tokens_details: ImagesTokensDetails | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class SvgUsage(APIObject):
    """Tokens used by the model that wrote an SVG; those for its reference image are in `usage`."""

    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    total_tokens: int = 0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Picture(APIObject):
    """A picture in base64 or at a URL."""

    b64_json: str | None = field(default=None, repr=_short)
    _download: Downloader | None = field(
        default=None, init=False, repr=False, eq=False, on_setattr=setters.NO_OP
    )
    _format: ImageFormat | None = field(
        default=None, init=False, repr=False, eq=False, on_setattr=setters.NO_OP
    )

    def _url(self) -> str | None:
        return None

    def _places(self) -> list[tuple[str, str]]:
        """The fields that hold the picture, by name, the best first; empty ones are left out."""
        fields = (("b64_json", self.b64_json), ("url", self._url()))
        return [(name, text) for name, text in fields if text and not text.isspace()]

    @property
    def format(self) -> ImageFormat | None:
        """The format, such as "png" or "jpeg": detected from the bytes, whatever was requested.

        `None` for an unknown format, and for a picture at a `url` until it has been read or saved.
        """
        if self._format is None and (places := self._places()):
            return image_format(start_of(places[0][1]))
        return self._format

    async def read(self) -> bytes:
        """The picture's bytes: decoded from `b64_json`, or downloaded from `url`.

        Raises:
            APIError: the download failed.
            APIResponseValidationError: neither holds a picture, but text that is not base64, or a
                web page or message.
        """
        *better, last = self._places() or [("", "")]
        for place in better:
            with suppress(APIResponseValidationError):  # damaged: the other field may be intact
                return await self._read(*place)
        return await self._read(*last)

    async def _read(self, name: str, text: str) -> bytes:
        if not name:
            msg = "This picture has neither b64_json nor url."
            raise APIResponseValidationError(msg, body=self._raw)
        if not _LINK.match(text):
            data = await asyncio.to_thread(picture_in, name, text)
        elif self._download is None:
            msg = "This picture has no client to download its url with: download it yourself."
            raise OpenAIError(msg)
        else:
            data = await self._download.fetch(text)
        self._format = image_format(data)
        return data

    async def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to `path`, whole or not at all; returns the path.

        The path is checked before anything is downloaded. An existing file is replaced and keeps
        its mode; a symbolic link is followed.

        Raises:
            InvalidArgumentError: `path` is a directory or a device, or its directory is missing.
            OpenAIError: the file cannot be written.
            APIError: the download failed.
        """
        target = await asyncio.to_thread(check_target, path)
        await _write(target, await self.read())
        return Path(path)

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str] | None:
        """How notebooks display it: the picture itself, or an <img> that loads its URL."""
        for name, text in self._places()[:1]:
            if _LINK.match(text):
                return {"text/html": f'<img src="{html.escape(text)}">', "text/plain": repr(self)}
            with suppress(APIResponseValidationError):
                data = picture_in(name, text)
                kind, shown = image_format(data), base64.b64encode(data).decode()
                if kind in _DISPLAYABLE:
                    return {f"image/{kind}": shown, "text/plain": repr(self)}
                if kind == "svg":  # in an <img> its scripts do not run
                    tag = f'<img src="data:image/svg+xml;base64,{shown}">'
                    return {"text/html": tag, "text/plain": repr(self)}
        return None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Image(Picture):
    """A generated or edited picture."""

    url: str | None = field(default=None, repr=_short_url)
    """OpenAI's URLs expire after 60 minutes. Some servers put the picture itself here (`data:`)."""
    revised_prompt: str | None = None
    """The prompt as dall-e-3 rewrote it."""

    def _url(self) -> str | None:
        return self.url


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImagesResponse(APIResponse):
    """The pictures of one call."""

    _requires: ClassVar[str] = "data"

    created: int = 0
    """Unix time, in seconds."""
    data: list[Image] = field(factory=list, metadata={"essential": True})
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    safety_identifier: str | None = None
    size: str | None = None
    svg_usage: SvgUsage | None = None
    usage: ImagesUsage | None = None

    async def save_all(self, directory: str | os.PathLike[str], stem: str = "image") -> list[Path]:
        """Write all pictures to a directory, each whole or not at all; returns their paths.

        They are named "image-1.png", "image-2.png" and so on. The extension is that of the actual
        format; pictures in an unknown format get none. Existing files are replaced. If a picture
        fails, the others are still saved, and the first failure is raised.

        Raises:
            InvalidArgumentError: there is no such directory, or `stem` is not part of a file name.
            OpenAIError: a file cannot be written.
            APIError: a download failed.

        Example::

            paths = await images.save_all("otters", stem="otter")
        """
        target = await asyncio.to_thread(check_directory, directory, stem)
        saving = [
            _save_as(image, target / f"{stem}-{number}", Path(directory))
            for number, image in enumerate(self.data, 1)
        ]
        results = await asyncio.gather(*saving, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, Path)]

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str] | None:
        """Notebooks display the first picture."""
        return self.data[0]._repr_mimebundle_(include, exclude) if self.data else None


async def _save_as(image: Picture, target: Path, directory: Path) -> Path:
    """Write it to `target` with its extension; returns that path as the user sees it."""
    data = await image.read()
    name = target.name + _EXTENSIONS.get(image.format, f".{image.format}")
    await _write(await asyncio.to_thread(check_target, target.with_name(name)), data)
    return directory / name


async def _write(target: Path, data: bytes) -> None:
    file = NewFile(target)
    try:
        await asyncio.to_thread(file.write, data)
        await asyncio.to_thread(file.replace)
    except BaseException:
        file.discard()
        raise
