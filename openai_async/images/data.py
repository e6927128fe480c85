"""Pictures as people write them: base64 and data URLs; and how to tell what is not a picture.

No I/O: text comes in, bytes go out.
"""

from __future__ import annotations

import base64
import codecs
import re
from urllib.parse import unquote_to_bytes

import orjson

from ..errors import APIResponseValidationError
from ..wire.failures import words
from ..wire.redaction import redacted
from .format import HEAD_SIZE, image_format

# The smallest pictures around are GIFs of 23 bytes. Words like "null" are base64 too, but shorter.
MIN_PICTURE = 20
# Prefixes ("data:image/svg+xml;charset=utf-8;name=cat.svg;base64") may have this many characters.
_MAX_HEAD = 200

_TO_STANDARD = str.maketrans("-_", "+/")
# Bytes that do not occur in text (WHATWG MIME Sniffing, section 3).
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(text: str, *, start: bool = False) -> bytes:
    """The bytes of base64 as people write it, or of a data URL.

    With line breaks or spaces, without padding, in the URL-safe alphabet, with or without a prefix
    like `data:image/png;base64,`. `start` gives the first 1445 bytes or a little more.

    Raises:
        ValueError: it is neither.
    """
    if start:
        # Four characters hold three bytes; line breaks and a prefix take some.
        text = text[: 2 * HEAD_SIZE + _MAX_HEAD]
        if "%" in text[-2:]:
            text = text.rpartition("%")[0]
    head, comma, rest = text.partition(",")
    if comma and len(head) <= _MAX_HEAD:
        kind = head.strip().lower()
        if "base64" in kind:
            text = unquote_to_bytes(rest).decode("ascii") if "%" in rest else rest
        elif kind.startswith("data:"):
            return unquote_to_bytes(rest)
    text = "".join(text.split()).rstrip("=").translate(_TO_STANDARD)
    over = len(text) % 4
    if over and start:
        text = text[:-over]
    elif over:
        text += "=" * (4 - over)
    return base64.b64decode(text, validate=True)


def picture_in(name: str, text: str) -> bytes:
    """The picture that a field, `b64_json` or `url`, itself contains.

    Raises:
        APIResponseValidationError: there is none.
    """
    bare = name == "url" and text.lstrip()[:5].lower() != "data:"
    try:
        data = decoded(text)
        # A path may look like base64: in a url only what is clearly a picture counts as one.
        fits = not bare or image_format(data) is not None
    except ValueError:
        fits = False
    if fits:
        return checked(data, f"The picture's {name}")
    what = f"no http(s) URL: {text[:80]!r}" if bare else "not base64"
    raise APIResponseValidationError(f"The picture's {name} is {what}.")


def start_of(text: str) -> bytes:
    """The first bytes of a picture written as text; b"" if it is not base64 or a data URL."""
    try:
        return decoded(text, start=True)
    except ValueError:
        return b""


def checked(data: bytes, origin: str, secret: str | None = None) -> bytes:
    """`data`, if it is a picture as far as can be told. One in a rare format counts too.

    Raises:
        APIResponseValidationError: it is empty, or a page or message; its words are in the error,
            without the `secret`.
    """
    if image_format(data) is not None:
        return data
    text = _text(data)
    if text is None and len(data) >= MIN_PICTURE:
        return data
    if text is None:
        text, msg = "", f"{origin} holds {len(data)} bytes, too few for a picture."
    elif not text.strip():
        msg = f"{origin} holds nothing where a picture belongs."
    else:
        msg = f"{origin} holds text instead of a picture: {words(redacted(_parsed(text), secret))}"
    raise APIResponseValidationError(msg, body=redacted(_parsed(text), secret))


def _text(data: bytes) -> str | None:
    """What the bytes say, if they are text."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data.decode(encoding, "replace")
    head = data[:HEAD_SIZE]
    if not head.lstrip().startswith((b"<", b"{", b"[")):  # else a page or JSON, however encoded
        if _BINARY.search(head):
            return None
        try:  # the head may end in the middle of a character
            codecs.getincrementaldecoder("utf-8")().decode(head, final=len(data) <= HEAD_SIZE)
        except UnicodeDecodeError:
            return None
    return data.decode("utf-8", "replace")


def _parsed(text: str) -> object:
    try:
        return orjson.loads(text)
    except ValueError:
        return text
