"""The Images API: what it takes, and the pictures it gives.

https://platform.openai.com/docs/api-reference/images
"""

from __future__ import annotations

import asyncio
import base64
import html
import os
import re
import secrets
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, TypedDict

from attrs import define, field, setters

from ..errors import APIResponseValidationError, InvalidArgumentError, OpenAIError
from ..images.data import picture_in, start_of
from ..images.format import ImageFormat, image_format
from ..options import RequestOptions
from .base import APIObject, APIResponse, note_change

# Formats that notebooks show if they get them as base64.
_SHOWN = frozenset({"png", "jpeg", "gif", "webp", "bmp"})
_LINK = re.compile(r"\s*https?:", re.IGNORECASE)


class Downloader:
    """Fetches the picture behind a URL; a client gives it to the pictures it makes.

    It stays behind when a picture is pickled: a client cannot travel to another process.
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
    # Apart from the rest, so that it stands in `__required_keys__`: see `chat_params`.
    prompt: str


class ImageGenerateParams(_Required, RequestOptions, total=False):
    """The parameters of `images.generate`, `stream` apart. What is left out is not sent."""

    model: str | None
    n: int | None
    size: str | None
    # Any text is allowed where new models bring new values; known ones are listed for editors.
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
    """A picture in base64 or behind a URL."""

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
        """The format, such as "png" or "jpeg": told from the bytes, whatever was asked for.

        `None` for a format that is not known here, and for a picture behind a `url` until it has
        been read or saved.
        """
        if self._format is None and (places := self._places()):
            return image_format(start_of(places[0][1]))
        return self._format

    async def read(self) -> bytes:
        """The picture's bytes: decoded from `b64_json`, or downloaded from `url`.

        Raises:
            APIError: the download failed.
            APIResponseValidationError: neither holds a picture: it is not base64, or there is a
                page or message in its place.
        """
        *better, last = self._places() or [("", "")]
        for place in better:
            with suppress(APIResponseValidationError):  # damaged: the other one may be intact
                return await self._read(*place)
        return await self._read(*last)

    async def _read(self, name: str, text: str) -> bytes:
        if not name:
            msg = "This picture has neither b64_json nor url."
            raise APIResponseValidationError(msg, body=self._raw)
        if not _LINK.match(text):
            data = await asyncio.to_thread(picture_in, name, text)
        elif self._download is None:
            msg = "This picture has no client that could download its url: do it with your own."
            raise OpenAIError(msg)
        else:
            data = await self._download.fetch(text)
        self._format = image_format(data)
        return data

    async def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to `path`, whole or not at all; returns the path.

        The path is looked at before anything is downloaded. An existing file is replaced and keeps
        its mode; a symbolic link is followed.

        Raises:
            InvalidArgumentError: `path` is a directory or a device, or its directory is missing.
            OpenAIError: the file cannot be written.
            APIError: the download failed.
        """
        target = await asyncio.to_thread(_checked_target, path)
        data = await self.read()
        abandoned = threading.Event()
        try:
            await asyncio.to_thread(_write, target, data, abandoned)
        except asyncio.CancelledError:
            abandoned.set()  # the thread goes on, but must not replace the file any more
            raise
        return Path(path)

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str] | None:
        """How notebooks show it: the picture itself, or an <img> that loads its URL."""
        for name, text in self._places()[:1]:
            if _LINK.match(text):
                return {"text/html": f'<img src="{html.escape(text)}">', "text/plain": repr(self)}
            with suppress(APIResponseValidationError):
                data = picture_in(name, text)
                if (kind := image_format(data)) in _SHOWN:
                    shown = base64.b64encode(data).decode()
                    return {f"image/{kind}": shown, "text/plain": repr(self)}
        return None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Image(_Picture):
    """A generated picture."""

    url: str | None = field(default=None, repr=_short_url)
    """OpenAI's are good for 60 minutes. Some servers write the picture itself here (`data:`)."""
    revised_prompt: str | None = None
    """The prompt that dall-e-3 made of yours."""

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
        """A notebook shows the first picture."""
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
    """A picture in the making."""

    type: Literal["image_generation.partial_image"] = "image_generation.partial_image"
    partial_image_index: int = 0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImageGenCompletedEvent(_ImageEvent):
    """The finished picture."""

    type: Literal["image_generation.completed"] = "image_generation.completed"
    usage: ImagesUsage | None = None


ImageGenStreamEvent: TypeAlias = ImageGenPartialImageEvent | ImageGenCompletedEvent


def _checked_target(path: object) -> Path:
    """The file that `path` leads to, if one can be written there."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        msg = f"path is {path!r}: name the file to write."
        raise InvalidArgumentError(msg)
    try:
        target = Path(path).resolve()  # through symbolic links, which are not to be replaced
        if target.is_dir():
            msg = f"{str(path)!r} is a directory: name the file to write."
            raise InvalidArgumentError(msg)
        if target.exists() and not target.is_file():
            msg = f"{str(path)!r} is a device or pipe: write what .read() gives to it."
            raise InvalidArgumentError(msg)
        if not target.parent.is_dir():
            msg = f"There is no directory {str(target.parent)!r}: create it first."
            raise InvalidArgumentError(msg)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        msg = f"{path!r} is no usable path: {getattr(error, 'strerror', None) or error}."
        raise InvalidArgumentError(msg) from error
    return target


def _write(target: Path, data: bytes, abandoned: threading.Event) -> None:
    """Write beside the target and rename: a reader sees the old file or the new one."""
    # The name is cut so that the longest name a file may have leaves room for what is added.
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
            if target.exists():
                temporary.chmod(target.stat().st_mode)
            if abandoned.is_set():
                temporary.unlink()
            else:
                temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        msg = f"Cannot write {str(target)!r}: {error.strerror or error}."
        raise OpenAIError(msg) from error
