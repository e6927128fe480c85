"""Text that was passed as a picture but cannot be read as one: what it may be, and what to do.

No I/O. The results are for error messages only: nothing here decides that text is a picture.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from ..errors import InvalidArgumentError
from .data import start_of
from .format import image_format

_SANDBOX = (
    "it is in the sandbox of a code interpreter; download it, and pass the path you saved it to"
)
# What text may be that is not the path of a file, and what to do; the first match counts.
_HINTS = (
    (r"""(["']).*\1$""", "leave out the quotes around it"),
    (r"sandbox:", _SANDBOX),
    (
        r"https?(:|//)|//|www\.|localhost[:/]|\d+(\.\d+){3}[:/]|([\w\-]+\.)+[a-z]{2,}(:\d+)?/",
        "a web address must begin with https:// or http://",
    ),
    (r"~", "`~` is not expanded; write the full path, or pass Path(...).expanduser()"),
    (r".*(\$\w|\$\{|%\w+%)", "variables are not expanded; pass os.path.expandvars(...)"),
    (r".*[*?]", "wildcards are not expanded; pass one path at a time"),
    # Two letters or more: a single letter is a drive.
    (r"[a-z][a-z0-9+.\-]+:", "pass a path, an http(s) URL or a data URL"),
)
# How many base64 characters show the format of a picture: 18 bytes, longer than any signature.
_HEAD = 24
# The smallest pictures are GIFs of 23 bytes; shorter text is more likely a path.
_SHORTEST = 31
_SUFFIX = re.compile(r"\.\w{1,5}$")
_PREFIX = re.compile(r"\s*(?:data:)?[^,]{0,200}base64\s*,", re.IGNORECASE)
_FOREIGN = re.compile(r"[^A-Za-z0-9+/\-_=\s]|=(?=[=\s]*[^=\s])")


def check_scheme(text: str) -> None:
    """Refuse a URL with a scheme that is not supported.

    Raises:
        InvalidArgumentError: the text is a file URL, or one with another scheme and `://`.
    """
    scheme, colon, rest = text[:80].lstrip().partition(":")
    if scheme.lower() == "file" and colon:
        msg = (
            f"{text[:80]!r} is a file URL: to send the picture, pass its path. For a server "
            "that reads its own files, such as vLLM, write the part yourself: "
            '{"type": "image_url", "image_url": {"url": "file://..."}}.'
        )
        raise InvalidArgumentError(msg)
    if rest.startswith("//") and re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.\-]+", scheme):
        advice = "pass an http(s) URL"
        if scheme.lower() == "sandbox":
            advice = _SANDBOX
        msg = f"{text[:80]!r} has an unknown scheme: {advice}."
        raise InvalidArgumentError(msg)


def hint(text: str) -> str:
    """Advice for a path that does not exist; "" if there is none."""
    text = text.strip()
    found = (advice for pattern, advice in _HINTS if re.match(pattern, text, re.IGNORECASE))
    return next(found, "")


def is_damaged(text: str) -> bool:
    """Whether invalid base64 was meant as a picture: it has the prefix, or starts like one.

    Some paths start like one too, such as "/9j/cat.jpg", but they are short or have a suffix.
    """
    if _PREFIX.match(text):
        return True
    if len(text) < _SHORTEST or _SUFFIX.search(text[-_HEAD:].rstrip()):
        return False
    return image_format(start_of(text[:_HEAD])) is not None


def damage(text: str) -> str:
    """What is wrong with base64 that cannot be decoded, and what to do."""
    if (prefix := _PREFIX.match(text)) is not None:
        text = unquote(text[prefix.end() :])
    if (foreign := _FOREIGN.search(text)) is not None:
        where = f"{foreign[0]!r} at character {foreign.start() + 1:,}"
        what = f"{where} is not at the end" if foreign[0] == "=" else f"{where} is not base64"
    else:
        what = f"it has {len(''.join(text.split()).rstrip('=')):,} characters"
        what += ", which is one too many or some too few"
    return f"{what}; encode the picture again with base64.b64encode(data).decode()"
