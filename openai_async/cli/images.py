"""`openai-async image`: a picture from words, saved to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

from attrs import frozen

from .. import APIResponseValidationError
from ..vision import ImageFormat
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
    # Values that the package does not know are for the server to judge: it may be newer.
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
    size, kind = path.stat().st_size, picture.format  # of what was saved, whatever its name
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
    named = _format_by_name(path)
    if named is not None and kind != named:
        what = "in an unknown format" if kind is None else _called(kind)
        write_note(f"{path} is {what}, not {_called(named)}: the server sent it that way.")


# File extensions that differ from the name of the format.
_ALIASES = {"jpg": "jpeg", "tif": "tiff", "heif": "heic"}


def _format_by_name(path: Path) -> str | None:
    """The format that its name says; `None` if that is not a known one."""
    suffix = path.suffix.lower().removeprefix(".")
    name = _ALIASES.get(suffix, suffix)
    return name if name in get_args(ImageFormat) else None


def _called(kind: str) -> str:
    return "WebP" if kind == "webp" else kind.upper()


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
