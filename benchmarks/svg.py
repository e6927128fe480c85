"""What the pictures share: colours, a frame, text.

They bring their own light background, so that they read the same on white and on dark pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

INK, PALE, LINE, PAPER = "#1f2933", "#5b6775", "#dde3ea", "#ffffff"


def picture(title: str, width: int, height: int, parts: Iterable[str]) -> str:
    """A whole SVG document; `title` is for those who do not see it."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" '
            'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
            f"<title>{title}</title>",
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6" '
            f'fill="{PAPER}" stroke="{LINE}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    size: int = 13,
    weight: int = 400,
    colour: str = INK,
) -> str:
    """Words at a place, with a rim that keeps them readable on lines."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{colour}" stroke="{PAPER}" stroke-width="4" '
        f'paint-order="stroke">{escape(words)}</text>'
    )
