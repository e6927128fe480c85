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


def _to(peer: str, what: str, work: str, most: float) -> Goal:
    return Goal(what, (work, "ours"), (work, peer), most)


def _within(what: str, work: str, base: str, most: float) -> Goal:
    """One workload of this package compared with another of its own."""
    return Goal(what, (work, "ours"), (base, "ours"), most)


def _adapter(what: str, work: str, most: float) -> Goal:
    """The official client over this package, compared with the same client over httpx."""
    return Goal(what, (work, "official-ours"), (work, "official-httpx"), most)


GOALS = (
    _to("by-hand", "a chat request, to by hand", "chat", 0.6),
    _to("wreq", "a chat request, to wreq", "chat", 1.3),
    _to("by-hand", "a chat request over TLS, to by hand", "chat-tls", 0.75),
    _within("a chat request, 1,000 at a time to 32", "chat-1000", "chat", 1.2),
    _within(
        "a chat request, 1,000 at a time to 32, `gc.set_threshold(100_000)`",
        "chat-1000-gc",
        "chat",
        1.2,
    ),
    _to("by-hand", "a streamed chunk, one a read, to by hand", "stream-one", 1.0),
    _to("by-hand", "a streamed chunk, one a read, only its text, to by hand", "text-one", 0.9),
    _to("by-hand-tuned", "a streamed chunk, 20 a read, to by hand, tuned", "stream", 1.5),
    _to("by-hand-tuned", "a streamed chunk, 20 a read, only its text, to tuned", "text", 1.0),
    _to("by-hand-tuned", "a streamed chunk, 20 a read, put together, to tuned", "completion", 1.2),
    _within("a streamed chunk, one a read, as events, to chunks", "events-one", "stream-one", 1.5),
    _within("a streamed chunk, 20 a read, as events, to chunks", "events", "stream", 1.5),
    _to("by-hand", "a stream to its first chunk, to by hand", "first-chunk", 0.7),
    _within(
        "a chunk of a stream of 100,000, to one of 200",
        "long-stream",
        "stream-flood",
        1.1,
    ),
    _within(
        "`completion()`, a chunk of 100,000 to one of 200",
        "completion-long",
        "completion-short",
        1.1,
    ),
    _to("by-hand", "a list of 80 models, to by hand", "models", 1.0),
    _to("by-hand", "an image of 4 MB, to by hand", "image", 0.9),
    Goal("an image of 4 MB: peak memory to its size", ("image-peak", "ours"), None, 2.2),
    Goal("an open stream, 1,000 open", ("open-1000", "ours"), None, 14.0, "kB"),
    # Opening them all is the goal; how much they take is the line above.
    Goal("5,000 open streams", ("open-5000", "ours"), None, math.inf, "kB"),
    _within("`run_requests`, to `gather` on the same client", "run-requests", "gather", 1.0),
    _within("`run_batch`, file to file, to the same `gather`", "run-batch", "gather", 1.2),
    _to("by-hand", "import, a client and its first answer, to by hand", "import", 1.1),
    _adapter("the official client, a chat request, over this package to httpx", "chat", 0.8),
    _adapter(
        "the official client, a streamed chunk, one a read, over this package to httpx",
        "stream-one",
        0.75,
    ),
    _adapter(
        "the official client, a streamed chunk, 20 a read, over this package to httpx",
        "stream",
        0.75,
    ),
    Goal("`--help`, to `import openai`", ("import", "help"), ("import", "official-import"), 0.35),
)
