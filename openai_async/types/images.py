"""The Images API: its parameters, and the pictures it returns.

https://platform.openai.com/docs/api-reference/images
"""

from __future__ import annotations

import asyncio
import base64
import html
import os
import re
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, TypedDict

from attrs import define, field, setters

from ..errors import APIResponseValidationError, OpenAIError
from ..images.data import picture_in, start_of
from ..images.format import ImageFormat, image_format
from ..images.saving import check_target, write_file
from ..options import RequestOptions
from .base import APIObject, APIResponse, note_change

# Formats that notebooks can display from base64.
_DISPLAYABLE = frozenset({"png", "jpeg", "gif", "webp", "bmp"})
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


class _Required(TypedDict):
    # A separate class, so that `__required_keys__` lists it: see `chat_params`.
    prompt: str


class ImageGenerateParams(_Required, RequestOptions, total=False):
    """The parameters of `images.generate`, except `stream`. Those left out are not sent."""

    model: str | None
    n: int | None
    size: str | None
    # Any text is allowed where new models add new values; known ones are listed for editors.
    quality: Literal["standard", "hd", "low", "medium", "high", "xhigh", "max", "auto"] | str | None
    style: Literal["vivid", "natural"] | None
    response_format: Literal["url", "b64_json"] | None
    output_format: Literal["png", "jpeg", "webp"] | str | None
    output_compression: int | None
    partial_images: int | None
    moderation: Literal["low", "auto"] | str | None
    background: Literal["transparent", "opaque", "auto"] | str | None
    user: str


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
class _Picture(APIObject):
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
        data = await self.read()
        abandoned = threading.Event()
        try:
            await asyncio.to_thread(write_file, target, data, abandoned)
        except asyncio.CancelledError:
            abandoned.set()  # the thread goes on, but must no longer replace the file
            raise
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
                if (kind := image_format(data)) in _DISPLAYABLE:
                    shown = base64.b64encode(data).decode()
                    return {f"image/{kind}": shown, "text/plain": repr(self)}
        return None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Image(_Picture):
    """A generated picture."""

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
    size: str | None = None
    usage: ImagesUsage | None = None

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str] | None:
        """Notebooks display the first picture."""
        return self.data[0]._repr_mimebundle_(include, exclude) if self.data else None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class _ImageEvent(_Picture):
    created_at: int = 0
    """Unix time, in seconds."""
    size: str = ""
    quality: str = ""
    background: str = ""
    output_format: str = ""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImageGenPartialImageEvent(_ImageEvent):
    """A partial picture."""

    type: Literal["image_generation.partial_image"] = "image_generation.partial_image"
    partial_image_index: int = 0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImageGenCompletedEvent(_ImageEvent):
    """The finished picture."""

    type: Literal["image_generation.completed"] = "image_generation.completed"
    usage: ImagesUsage | None = None


ImageGenStreamEvent: TypeAlias = ImageGenPartialImageEvent | ImageGenCompletedEvent
