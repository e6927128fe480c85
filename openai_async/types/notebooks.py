"""How answers are displayed in notebooks.

What a model writes is not to be trusted: Jupyter runs the scripts in the output of a cell that has
just been run, even those in Markdown. So no `<` of a text reaches the notebook as it is. Markdown
would show `&lt;` literally in code, so code becomes an HTML element, with every special character
as a character reference. Whatever a text contains, all HTML in the result is ours. Pictures in it
become links: loading one would send its URL, which the model chose, to a server of the model's
choice.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

_CODE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})[^`\n]*\n(?P<block>.*?)(?:^ *(?P=fence)[`~]* *$|\Z)"
    r"|(?<!`)(?P<ticks>`+)(?!`)(?P<span>[^\n]{0,999}?[^`\n])(?P=ticks)(?!`)",
    re.DOTALL | re.MULTILINE,
)
_SCRIPT = re.compile(r"(javascript|vbscript)(?=\\?:)", re.IGNORECASE)


def safe_markdown(text: str) -> str:
    """Markdown that shows the same text and runs nothing."""
    pieces = []
    end = 0
    for match in _CODE.finditer(text):
        pieces.append(_prose(text[end : match.start()]))
        if match["fence"]:
            # In one line, so that it stays in its list item.
            pieces.append(
                f"{match['indent']}<pre><code>{_references(match['block'])}</code></pre>\n"
            )
        else:
            pieces.append(code(match["span"].strip(" ")))
        end = match.end()
    return "".join((*pieces, _prose(text[end:])))


def _prose(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("![", "&#33;[")
    return _SCRIPT.sub("\\1\u200b", text)  # no longer the scheme of a link


def code(text: str) -> str:
    """A text in a line of Markdown, exactly as it is."""
    return f"<code>{_references(text)}</code>"


def _references(text: str) -> str:
    """Characters that are neither HTML nor Markdown nor TeX."""
    return "".join(char if char.isalnum() or char == " " else f"&#{ord(char)};" for char in text)


def html_table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """A table of texts."""
    lines = [("th", head)] if head else []
    lines += [("td", [str(value) for value in row]) for row in rows]
    body = "".join(f"<tr>{_cells(tag, values)}</tr>" for tag, values in lines)
    return f"<table>{body}</table>"


def _cells(tag: str, values: Sequence[str]) -> str:
    return "".join(
        f'<{tag} style="text-align: left">{html.escape(value)}</{tag}>' for value in values
    )


def date(seconds: int) -> str:
    """The date of a Unix time; "" if there is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds else ""
    except (OverflowError, OSError, ValueError):  # milliseconds, or worse
        return ""
