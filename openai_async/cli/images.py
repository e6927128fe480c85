"""`openai-async image`: a picture from words, saved to a file."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from .. import APIResponseValidationError
from ..types.images import ImageGenerateParams
from .errors import UsageError
from .options import Connection, Quality, Style, connect
from .output import Output


@frozen(kw_only=True)
class Drawing:
    """What to draw, and where to."""

    prompt: str
    path: Path
    model: str
    size: str
    quality: Quality | None
    style: Style | None


async def draw(drawing: Drawing, connection: Connection, output: Output) -> None:
    check_target(drawing.path)
    params: ImageGenerateParams = {
        "prompt": drawing.prompt,
        "model": drawing.model,
        "size": drawing.size,
    }
    if drawing.quality is not None:
        params["quality"] = drawing.quality
    if drawing.style is not None:
        params["style"] = drawing.style
    async with connect(connection) as client:
        with output.waiting("Drawing ..."):
            response = await client.images.generate(**params)
            if not response.data:
                msg = "The server sent no picture."
                raise APIResponseValidationError(msg, request_id=response.meta.request_id)
            picture = response.data[0]
            path = await picture.save(drawing.path)
    size = path.stat().st_size
    if output.as_json:
        output.json(
            {
                "path": str(path),
                "size": size,
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
