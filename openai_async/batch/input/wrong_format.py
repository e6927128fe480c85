"""What a file without a single valid request is, detected from its first line.

One sentence about the whole file helps more than the same mistake reported line by line.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...jsontext import strict_loads
from .lines import Line

# How many characters of the line are quoted.
_QUOTED = 40
# Cells with no space after the comma or semicolon, as in a CSV but not in a sentence.
_CSV_LINE = re.compile(r"[^,]+(,[^\s,][^,]*)+|[^;]+(;[^\s;][^;]*)+")
_OBJECTS = "write each request as a JSON object on a line of its own"


def describe_wrong_format(path: Path, first: Line) -> str | None:
    """One sentence on what the file is and what to do; `None` if it is JSON Lines or unknown.

    Args:
        path: the file. Its name decides if the line fits more than one format.
        first: its first line that is not blank.
    """
    try:
        text = first.data.decode().strip()
    except UnicodeDecodeError:
        return None
    if text.startswith("["):
        return f"{path} is a JSON array (line {first.number}): {_OBJECTS}, as `jq -c '.[]'` does."
    if text == "{":
        return (
            f"{path} has JSON that spans several lines (from line {first.number} on): "
            f"{_OBJECTS}, as `jq -c .` does."
        )
    if not text or text.startswith("{") or _is_json(text):
        return None
    kind, advice = _kind_of_text(path, text)
    shown = text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."
    return (
        f"{path} is {kind}, not JSON Lines (line {first.number} is {shown!r}): {advice} with "
        f"`openai-async batch --from-prompts`, or {_OBJECTS}."
    )


def _is_json(text: str) -> bool:
    try:
        strict_loads(text)
    except ValueError:
        return False
    return True


def _kind_of_text(path: Path, text: str) -> tuple[str, str]:
    """What kind of file it is, and what to do with it."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    for kind, suffix, looks_so in (
        ("TSV", ".tsv", "\t" in text),
        ("CSV", ".csv", _CSV_LINE.fullmatch(text) is not None),
    ):
        if suffix in suffixes:
            return kind, "pass it"
        if looks_so:
            return kind, f"name it {suffix}, and pass it"
    return "plain text", "pass it, one prompt per line,"
