"""The picture: CPU time per operation as horizontal bars on a log axis, in SVG."""

from __future__ import annotations

import math

from figures import Figures
from peers import PEERS
from svg import LINE, PALE, picture, text
from works import WORKS

_TITLE = "CPU time of one operation (logarithmic scale; shorter is better)"
_WORKS = ("chat", "stream-one", "stream", "models", "image")
_COLOURS = {
    "official-httpx": "#c2703d",
    "official-aiohttp": "#dd9f72",
    "official-ours": "#e8c4aa",
    "ours": "#1a7f64",
    "by-hand": "#66758a",
    "pyreqwest": "#8795a8",
    "wreq": "#8795a8",
    "raw": "#a9b4c2",
}
_WIDTH, _LEFT, _RIGHT = 860, 150, 140
_BAR, _STEP, _HEADING, _TOP, _BOTTOM = 17, 22, 32, 52, 36


def draw(figures: Figures) -> str:
    """The whole picture."""
    bars = {
        work: [
            (peer, value)
            for peer in _COLOURS
            if (value := figures.median((work, peer))) is not None
        ]
        for work in _WORKS
    }
    bars = {work: some for work, some in bars.items() if some}
    values = [value for some in bars.values() for _, value in some]
    if not values:
        return ""
    # Room for the shortest bar: at the very start of the axis it would have no length.
    low = math.floor(math.log10(min(values) / 2))
    decades = max(1, math.ceil(math.log10(max(values))) - low)
    plot = _WIDTH - _LEFT - _RIGHT

    def x(value: float) -> float:
        return _LEFT + plot * (math.log10(value) - low) / decades

    rows = sum(map(len, bars.values()))
    height = _TOP + len(bars) * _HEADING + rows * _STEP + _BOTTOM
    parts = [
        text(20, 30, _TITLE, size=16, weight=600),
    ]
    for decade in range(decades + 1):
        at = x(10.0 ** (low + decade))
        parts.append(
            f'<line x1="{at:.1f}" y1="{_TOP}" x2="{at:.1f}" y2="{height - _BOTTOM + 4}" '
            f'stroke="{LINE}"/>'
        )
        label = micros(10.0 ** (low + decade))
        parts.append(text(at, height - 14, label, anchor="middle", colour=PALE))
    y = float(_TOP)
    for work, some in bars.items():
        parts.append(text(20, y + 22, WORKS[work].label, weight=600))
        y += _HEADING
        for peer, value in some:
            weight = 600 if peer == "ours" else 400
            parts.append(text(_LEFT - 10, y + 13, PEERS[peer].label, anchor="end", weight=weight))
            parts.append(
                f'<rect x="{_LEFT}" y="{y:.0f}" width="{max(1.0, x(value) - _LEFT):.1f}" '
                f'height="{_BAR}" rx="2" fill="{_COLOURS[peer]}"/>'
            )
            label = micros(value) + _ratio(figures, work, peer)
            parts.append(text(x(value) + 6, y + 13, label, weight=weight))
            y += _STEP
    return picture(_TITLE, _WIDTH, height, parts)


def micros(value: float) -> str:
    """Microseconds as one reads them: three digits, and milliseconds when there are thousands."""
    value, unit = (value / 1000, "ms") if value >= 1000 else (value, "µs")
    digits = 0 if value >= 100 or value == round(value) else 1
    return f"{value:,.{digits}f} {unit}"


def _ratio(figures: Figures, work: str, peer: str) -> str:
    """How often the CPU time of by hand."""
    ratio = figures.spread((work, peer), (work, "by-hand"))
    if ratio is None or peer in ("by-hand", "raw"):
        return ""
    return f" · {ratio.median:.{1 if ratio.median >= 10 else 2}f}x"
