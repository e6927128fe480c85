"""`openai-async image`: draws a picture, or changes one, and saves it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from attrs import frozen

from .. import APIResponseValidationError
from ..vision import ImageFormat
from .errors import UsageError
from .options import Connection, connect
from .output import Output, write_note


@frozen(kw_only=True)
class ImageOptions:
    """The prompt and the options of `image`."""

    prompt: str
    path: Path
    model: str
    size: str | None
    quality: str | None
    style: str | None
    edit: Sequence[Path] = ()
    mask: Path | None = None


async def draw(options: ImageOptions, connection: Connection, output: Output) -> None:
    check_output_path(options.path)
    if options.edit and options.style is not None:
        msg = "--style is for new pictures, and --edit changes an existing one: pass one of them."
        raise UsageError(msg)
    if options.mask is not None and not options.edit:
        msg = "--mask needs a picture to edit: pass it with --edit."
        raise UsageError(msg)
    asked = {
        "size": options.size,
        "quality": options.quality,
        "style": options.style,
        "mask": options.mask,
    }
    # Unknown values are sent too: the server may be newer than this package.
    params: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    async with connect(connection) as client:
        with output.waiting("Drawing ..."):
            if options.edit:
                response = await client.images.edit(
                    image=options.edit, prompt=options.prompt, model=options.model, **params
                )
            else:
                response = await client.images.generate(
                    prompt=options.prompt, model=options.model, **params
                )
            if not response.data:
                msg = "The server sent no picture."
                raise APIResponseValidationError(msg, request_id=response.meta.request_id)
            picture = response.data[0]
            path = await picture.save(options.path)
    size, kind = path.stat().st_size, picture.format  # detected from the bytes
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
        what = "in an unknown format" if kind is None else _display_name(kind)
        write_note(f"{path} is {what}, not {_display_name(named)}: the server sent it that way.")


# File extensions that differ from the name of the format.
_ALIASES = {"jpg": "jpeg", "tif": "tiff", "heif": "heic"}


def _format_by_name(path: Path) -> str | None:
    """The format of the file's extension; `None` if it is unknown."""
    suffix = path.suffix.lower().removeprefix(".")
    name = _ALIASES.get(suffix, suffix)
    return name if name in get_args(ImageFormat) else None


def _display_name(kind: str) -> str:
    return "WebP" if kind == "webp" else kind.upper()


def check_output_path(path: Path) -> None:
    """Refuse a path that cannot be written, before the picture costs money."""
    if path.is_dir():
        msg = f"{str(path)!r} is a directory: name the file to write."
    elif not path.parent.is_dir():
        msg = f"There is no directory {str(path.parent)!r}: create it first."
    elif not os.access(path.parent, os.W_OK):
        msg = f"The directory {str(path.parent)!r} is not writable."
    else:
        return
    raise UsageError(msg)
