"""`openai-async image`: a picture from words, saved to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attrs import frozen

from .. import APIResponseValidationError
from ..types.image_format import SIGNATURE_SIZE, ImageFormat, image_format
from .errors import UsageError
from .options import Connection, connect
from .output import Output, write_note


@frozen(kw_only=True)
class Drawing:
    """What to draw, and where to."""

    prompt: str
    path: Path
    model: str
    size: str | None
    quality: str | None
    style: str | None


async def draw(drawing: Drawing, connection: Connection, output: Output) -> None:
    check_target(drawing.path)
    asked = {"size": drawing.size, "quality": drawing.quality, "style": drawing.style}
    # Words that the package does not know are for the server to judge: it may be newer.
    params: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    async with connect(connection) as client:
        with output.waiting("Drawing ..."):
            response = await client.images.generate(
                prompt=drawing.prompt, model=drawing.model, **params
            )
            if not response.data:
                msg = "The server sent no picture."
                raise APIResponseValidationError(msg, request_id=response.meta.request_id)
            picture = response.data[0]
            path = await picture.save(drawing.path)
    size, kind = path.stat().st_size, _format_of(path)
    if output.as_json:
        output.json(
            {
                "path": str(path),
                "size": size,
                "format": kind,
                "revised_prompt": picture.revised_prompt,
                "request_id": response.meta.request_id,
            }
        )
    elif output.terminal:
        output.line(f"Saved {path} ({size:,} bytes).")
        if picture.revised_prompt:
            output.line(f"Drawn: {picture.revised_prompt}", "dim")
    else:
        output.line(str(path))
    named = _FORMATS.get(path.suffix.lower())
    if named is not None and kind != named:
        what = "no format that is known here" if kind is None else _NAMES[kind]
        write_note(f"{path} is {what}, not {_NAMES[named]}: the server has sent it so.")


# By the name of a file, and in words.
_FORMATS: dict[str, ImageFormat] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".gif": "gif",
    ".webp": "webp",
}
_NAMES: dict[ImageFormat, str] = {"png": "PNG", "jpeg": "JPEG", "gif": "GIF", "webp": "WebP"}


def _format_of(path: Path) -> ImageFormat | None:
    """What the saved picture is, whatever its name says."""
    with path.open("rb") as file:
        return image_format(file.read(SIGNATURE_SIZE))


def check_target(path: Path) -> None:
    """Complain before the picture is paid for."""
    if path.is_dir():
        msg = f"{str(path)!r} is a directory: name the file to write."
    elif not path.parent.is_dir():
        msg = f"There is no directory {str(path.parent)!r}: create it first."
    elif not os.access(path.parent, os.W_OK):
        msg = f"The directory {str(path.parent)!r} is not writable."
    else:
        return
    raise UsageError(msg)
