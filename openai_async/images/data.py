"""Pictures as text: decodes base64 and data URLs, and recognizes what is not a picture.

No I/O: text in, bytes out.
"""

from __future__ import annotations

import base64
import codecs
import re
from urllib.parse import unquote_to_bytes

from ..errors import APIResponseValidationError
from ..jsontext import strict_loads
from ..wire.failures import summary
from ..wire.redaction import redacted
from .format import HEAD_SIZE, image_format

# The smallest pictures are GIFs of 23 bytes. Words like "null" are base64 too, but shorter.
MIN_PICTURE = 20
# The maximum length of a prefix like "data:image/svg+xml;charset=utf-8;name=cat.svg;base64".
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
    """Decode base64 or a data URL.

    Base64 may have line breaks or spaces, lack padding, use the URL-safe alphabet, and have a
    prefix like `data:image/png;base64,`. With `start`, only the first 1445 bytes or a little more
    are decoded.

    Raises:
        ValueError: the text is neither.
    """
    if start:
        # Four characters hold three bytes; line breaks and a prefix need room too.
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
    """Decode the picture in the text of a field, `b64_json` or `url`.

    Raises:
        APIResponseValidationError: the text does not hold a picture.
    """
    bare = name == "url" and text.lstrip()[:5].lower() != "data:"
    try:
        data = decoded(text)
        # A path may look like base64, so a url must have a known picture format.
        fits = not bare or image_format(data) is not None
    except ValueError:
        fits = False
    if fits:
        return checked(data, f"The picture's {name}")
    what = f"not an http(s) URL: {text[:80]!r}" if bare else "not base64"
    raise APIResponseValidationError(f"The picture's {name} is {what}.")


def start_of(text: str) -> bytes:
    """The first bytes of a picture given as text; b"" if it is not base64 or a data URL."""
    try:
        return decoded(text, start=True)
    except ValueError:
        return b""


def checked(data: bytes, origin: str, secret: str | None = None) -> bytes:
    """Return `data` if it appears to be a picture, even one in an unknown format.

    Raises:
        APIResponseValidationError: it is empty, or a web page or message; the error quotes it,
            without the `secret`.
    """
    if image_format(data) is not None:
        return data
    text = _text(data)
    if text is None and len(data) >= MIN_PICTURE:
        return data
    if text is None:
        text, msg = "", f"{origin} has only {len(data)} bytes, too few for a picture."
    elif not text.strip():
        msg = f"{origin} is empty, but a picture was expected."
    else:
        quote = summary(redacted(_parsed(text), secret))
        msg = f"{origin} contains text instead of a picture: {quote}"
    raise APIResponseValidationError(msg, body=redacted(_parsed(text), secret))


def _text(data: bytes) -> str | None:
    """The bytes decoded, if they are text."""
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
        return strict_loads(text)
    except ValueError:
        return text
