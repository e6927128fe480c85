"""The quick way from a line to its request: for POST requests without mistakes, nearly all lines.

Only what a run needs to know is taken from the line; the body stays text. Any line that is not as
expected, valid or not, is left to `BatchRequest.of`, which reports what is wrong.
"""

from __future__ import annotations

import msgspec

from ..json_text import JSONText
from ..requests import MAX_ID, POST_PATHS, BatchRequest, unchecked_post

# With fewer brackets, nothing can be nested too deep to be sent.
MANY_BRACKETS = 200


class _Body(msgspec.Struct, gc=False):
    model: str | None = None
    stream: bool | None = None


class _Line(msgspec.Struct, gc=False):
    custom_id: str
    url: str
    body: _Body
    method: str = "POST"


class _Text(msgspec.Struct, gc=False):
    body: msgspec.Raw


_line = msgspec.json.Decoder(_Line).decode
_text = msgspec.json.Decoder(_Text).decode


def _has_many_brackets(data: bytes) -> bool:
    """Whether a line may be nested too deep to be sent."""
    # As many closing brackets follow, so a short line has few.
    return len(data) > 2 * MANY_BRACKETS and data.count(b"[") + data.count(b"{") > MANY_BRACKETS


def _quick(data: bytes) -> _Line | None:
    try:
        line = _line(data)
        if not data.isascii():
            data.decode()  # msgspec does not check for valid UTF-8 in what it skips
    except (ValueError, RecursionError):
        return None
    if (
        line.url not in POST_PATHS
        or line.method != "POST"
        or line.body.stream
        or not 0 < len(line.custom_id) <= MAX_ID
        or (len(data) > 2 * MANY_BRACKETS and _has_many_brackets(data))
    ):
        return None
    return line


def quick_id(data: bytes) -> str | None:
    """The id in a line that `quick_request` can read; `None` for any other."""
    line = _quick(data)
    return None if line is None else line.custom_id


def quick_request(data: bytes) -> BatchRequest | None:
    """The request in a line; `None` if the line needs a closer look."""
    line = _quick(data)
    if line is None:
        return None
    body = JSONText(bytes(_text(data).body), line.body.model)
    return unchecked_post(line.custom_id, line.url, body)
