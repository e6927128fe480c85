"""The picture of pacing: requests a second against a limit, one panel for each peer, in SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from svg import PALE, picture, text

_WIDTH, _LEFT, _RIGHT, _TOP, _PANEL, _GAP, _BOTTOM = 860, 60, 20, 64, 150, 56, 40
_ANSWERED, _REFUSED, _LIMIT = "#1a7f64", "#c2703d", "#1f2933"
_TITLE = "Requests a second, against a limit of 20 (seconds from the start)"
# Times the limit. Columns that are higher are cut off, and say how high they are.
_HEADROOM = 5


class Panel(Protocol):
    """One peer: what the server answered and refused in each tick."""

    label: str
    columns: list[tuple[int, int]]
    done: int
    failed: int
    rejected: int


def draw(panels: Sequence[Panel], rate: float, tick: float) -> str:
    """The whole picture."""
    ticks = max(len(panel.columns) for panel in panels) + 1
    height = _TOP + len(panels) * (_PANEL + _GAP) - _GAP + _BOTTOM
    step = (_WIDTH - _LEFT - _RIGHT) / ticks
    parts = [text(20, 30, _TITLE, size=16, weight=600)]
    parts += _key(_WIDTH - _RIGHT, 30)
    for number, panel in enumerate(panels):
        bottom = _TOP + number * (_PANEL + _GAP) + _PANEL
        parts += _panel(panel, bottom, step, rate, tick)
    last = height - _BOTTOM
    for second in range(0, int(ticks * tick) + 1, 5):
        x = _LEFT + second / tick * step
        parts.append(text(x, last + 22, str(second), anchor="middle", colour=PALE))
    return picture(_TITLE, _WIDTH, height, parts)


def _panel(panel: Panel, bottom: float, step: float, rate: float, tick: float) -> list[str]:
    most = rate * tick * _HEADROOM
    label = panel.label.replace("`", "")
    told = f"{panel.done:,} done, {panel.failed:,} failed, {panel.rejected:,} times refused"
    top = bottom - _PANEL
    parts = [
        text(_LEFT, top - 10, label, weight=600),
        text(_WIDTH - _RIGHT, top - 10, told, anchor="end", colour=PALE),
    ]
    for index, (answered, refused) in enumerate(panel.columns):
        x = _LEFT + index * step
        y = bottom
        for count, colour in ((answered, _ANSWERED), (refused, _REFUSED)):
            drawn = min(count, most - (bottom - y) / _PANEL * most)
            size = drawn / most * _PANEL
            y -= size
            if size > 0:
                parts.append(
                    f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="{step - 2:.1f}" '
                    f'height="{size:.1f}" fill="{colour}"/>'
                )
        if answered + refused > most:
            parts.append(
                text(x + step / 2, top + 12, f"{answered + refused:,}", anchor="middle", size=10)
            )
    y = bottom - rate * tick / most * _PANEL
    parts.append(
        f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" '
        f'stroke="{_LIMIT}" stroke-dasharray="5 4"/>'
    )
    parts.append(text(_LEFT - 8, y + 4, f"{rate:g}", anchor="end"))
    parts.append(
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH - _RIGHT}" y2="{bottom}" stroke="{PALE}"/>'
    )
    return parts


def _key(right: float, y: float) -> list[str]:
    parts = []
    for label, colour, width in (("refused (429)", _REFUSED, 110), ("answered", _ANSWERED, 85)):
        right -= width
        parts.append(f'<rect x="{right}" y="{y - 10}" width="11" height="11" fill="{colour}"/>')
        parts.append(text(right + 16, y, label, colour=PALE))
    return parts
