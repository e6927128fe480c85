"""What this package means to reach: one table, and whether it is reached."""

from __future__ import annotations

import math

from attrs import frozen

from figures import Figures, Key, Spread


@frozen
class Goal:
    """A figure that is not to be larger than `most`; with a `base`, the ratio to that one."""

    what: str
    key: Key
    base: Key | None
    most: float
    unit: str = "x"

    def measured(self, figures: Figures) -> Spread | None:
        return figures.spread(self.key, self.base)

    @property
    def limit(self) -> str:
        return "it works" if math.isinf(self.most) else f"≤ {self.most:g} {self.unit}"


def _by_hand(what: str, work: str, most: float) -> Goal:
    return Goal(f"{what}, to by hand", (work, "ours"), (work, "by-hand"), most)


GOALS = (
    _by_hand("a chat request", "chat", 1.0),
    _by_hand("a streamed chunk", "stream", 1.5),
    _by_hand("a streamed chunk, only its text", "text", 1.2),
    _by_hand("a list of 80 models", "models", 1.3),
    _by_hand("an image of 4 MB", "image", 1.0),
    Goal("an image of 4 MB: peak memory to its size", ("image-peak", "ours"), None, 3.0),
    Goal("an open stream, 1,000 open", ("open-1000", "ours"), None, 20.0, "kB"),
    # Opening them all is the goal; how much they take is the line above.
    Goal("5,000 open streams", ("open-5000", "ours"), None, math.inf, "kB"),
    Goal(
        "import and first client, to `import aiohttp, cattrs, orjson`",
        ("import", "ours"),
        ("import", "dependencies"),
        1.1,
    ),
    Goal("`--help`, to `import openai`", ("import", "help"), ("import", "official-import"), 0.35),
    Goal("chat, 1,000 at a time to 32", ("chat-1000", "ours"), ("chat", "ours"), 1.2),
    Goal(
        "chat, 1,000 at a time to 32, `gc.set_threshold(100_000)`",
        ("chat-1000-gc", "ours"),
        ("chat", "ours"),
        1.2,
    ),
    Goal(
        "a chunk of a stream of 100,000, to one of 200",
        ("long-stream", "ours"),
        ("stream-flood", "ours"),
        1.1,
    ),
    Goal(
        "`completion()`, a chunk of 100,000 to one of 200",
        ("completion-long", "ours"),
        ("completion-short", "ours"),
        1.1,
    ),
)
