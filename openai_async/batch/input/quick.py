"""The quick way from a line to its request: for POST requests without mistakes, nearly all lines.

Only what a run needs to know is taken from the line; the body stays text. Any line that is not as
expected, valid or not, is left to `BatchRequest.of`, which reports what is wrong.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..json_text import JSONText
from ..requests import MAX_ID, POST_PATHS, BatchRequest, unchecked_post

# With fewer brackets, nothing can be nested too deep to be sent.
MANY_BRACKETS = 200


class _Line(msgspec.Struct, gc=False):
    custom_id: str
    url: str
    body: msgspec.Raw
    method: str = "POST"


_line = msgspec.json.Decoder(_Line).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode


def _has_many_brackets(data: bytes) -> bool:
    """Whether a line may be nested too deep to be sent."""
    # As many closing brackets follow, so a short line has few.
    return len(data) > 2 * MANY_BRACKETS and data.count(b"[") + data.count(b"{") > MANY_BRACKETS


def _quick(data: bytes) -> tuple[_Line, str | None] | None:
    """A line, and the model in its body; `None` if the line needs a closer look."""
    try:
        line = _line(data)
        # All of the body is parsed: in what msgspec skips, numbers may be too large.
        body = _object(line.body)
        if not data.isascii():
            data.decode()  # msgspec does not check for valid UTF-8 in what it skips
    except (ValueError, RecursionError):
        return None
    stream, model = body.get("stream"), body.get("model")
    if (
        line.url not in POST_PATHS
        or line.method != "POST"
        or (stream is not None and stream is not False)
        or (model is not None and type(model) is not str)
        or not 0 < len(line.custom_id) <= MAX_ID
        or (len(data) > 2 * MANY_BRACKETS and _has_many_brackets(data))
    ):
        return None
    return line, model


def quick_id(data: bytes) -> str | None:
    """The id in a line that `quick_request` can read; `None` for any other."""
    found = _quick(data)
    return None if found is None else found[0].custom_id


def quick_request(data: bytes) -> BatchRequest | None:
    """The request in a line; `None` if the line needs a closer look."""
    found = _quick(data)
    if found is None:
        return None
    line, model = found
    return unchecked_post(line.custom_id, line.url, JSONText(bytes(line.body), model))
