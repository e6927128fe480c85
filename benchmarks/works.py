"""What is measured: a table of workloads, and which peers run each of them.

Workloads of one group take turns within the same rounds, so that they can be compared.
"""

from __future__ import annotations

from importlib.util import find_spec

from attrs import frozen

import calls
import canned
from calls import Run, each

SHORT = 200
LONG = 100_000
BY_HAND = ("ours", "by-hand")
OFFICIAL = ("official-aiohttp", "official-httpx")
UVLOOP = ("ours-uvloop", "by-hand-uvloop")
RUST = ("wreq", "pyreqwest")


@frozen
class Work:
    """One workload.

    Attributes:
        name: its name for `--only`.
        label: its name in tables.
        run: runs it.
        peers: which peers run it.
        group: which workloads it shares its rounds with.
        concurrency: how many calls run at once.
        size: how many operations one call counts as.
        operations: how many are measured in each round of a whole run; `None` for as many as the
            time allows.
        server: the kind of server; see `processes.Servers`.
        gc_threshold: how many new objects trigger a garbage collection; `None` for Python's
            default.
        needs: the packages that it needs, whichever peer runs it.
    """

    name: str
    label: str
    run: Run
    peers: tuple[str, ...]
    group: str
    concurrency: int = 32
    size: int = 1
    operations: int | None = None
    server: str = "plain"
    gc_threshold: int | None = None
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The packages it needs that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


_ALL = (
    Work(
        name="chat",
        label="a chat request, 32 at a time",
        run=each(calls.chat),
        peers=(*BY_HAND, *OFFICIAL, "official-ours", *UVLOOP, "by-hand-tuned", *RUST, "raw"),
        group="chat",
    ),
    Work(
        name="chat-1000",
        label="a chat request, 1,000 at a time",
        run=each(calls.chat),
        peers=BY_HAND,
        group="chat",
        concurrency=1000,
    ),
    Work(
        name="chat-1000-gc",
        label="a chat request, 1,000 at a time, `gc.set_threshold(100_000)`",
        run=each(calls.chat),
        peers=BY_HAND,
        group="chat",
        concurrency=1000,
        gc_threshold=100_000,
    ),
    Work(
        name="chat-tls",
        label="a chat request over TLS, 32 at a time",
        run=each(calls.chat),
        peers=BY_HAND,
        group="chat-tls",
        server="tls",
        needs=("trustme",),
    ),
    Work(
        name="stream-one",
        label="a streamed chunk, one a read",
        run=each(calls.stream(SHORT, "one")),
        peers=(*BY_HAND, *OFFICIAL, "official-ours", "by-hand-tuned"),
        group="stream-one",
        concurrency=8,
        size=canned.chunks(SHORT),
    ),
    Work(
        name="text-one",
        label="a streamed chunk, one a read, only its text",
        run=each(calls.text(SHORT, "one")),
        peers=BY_HAND,
        group="stream-one",
        concurrency=8,
        size=canned.chunks(SHORT),
    ),
    Work(
        name="events-one",
        label="a streamed chunk, one a read, as events",
        run=each(calls.events(SHORT, "one")),
        peers=("ours", *OFFICIAL),
        group="stream-one",
        concurrency=8,
        size=canned.chunks(SHORT),
    ),
    Work(
        name="stream",
        label="a streamed chunk, 20 a read",
        run=each(calls.stream(SHORT, "burst")),
        peers=(*BY_HAND, *OFFICIAL, "official-ours", *UVLOOP, "by-hand-tuned"),
        group="stream",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="text",
        label="a streamed chunk, 20 a read, only its text",
        run=each(calls.text(SHORT, "burst")),
        peers=(*BY_HAND, "ours-uvloop", "by-hand-tuned"),
        group="stream",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="events",
        label="a streamed chunk, 20 a read, as events",
        run=each(calls.events(SHORT, "burst")),
        peers=("ours", *OFFICIAL),
        group="stream",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="completion",
        label="a streamed chunk, 20 a read, put together",
        run=each(calls.completion(SHORT, "burst")),
        peers=("ours", "by-hand-tuned"),
        group="stream",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="first-chunk",
        label="a stream to its first chunk, 32 at a time",
        run=calls.first_chunks,
        peers=(*BY_HAND, *OFFICIAL),
        group="first-chunk",
    ),
    Work(
        name="stream-flood",
        label="a streamed chunk, as fast as it is read",
        run=each(calls.stream(SHORT, "flood")),
        peers=(*BY_HAND, "by-hand-tuned"),
        group="flood",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="long-stream",
        label="a chunk of a stream of 100,000",
        run=each(calls.stream(LONG, "flood")),
        peers=BY_HAND,
        group="flood",
        concurrency=1,
        size=canned.chunks(LONG),
    ),
    Work(
        name="completion-short",
        label="a chunk of `completion()`, 200 tokens",
        run=each(calls.completion(SHORT, "flood")),
        peers=("ours",),
        group="flood",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="completion-long",
        label="a chunk of `completion()`, 100,000 tokens",
        run=each(calls.completion(LONG, "flood")),
        peers=("ours",),
        group="flood",
        concurrency=1,
        size=canned.chunks(LONG),
    ),
    Work(
        name="models",
        label="a list of 80 models",
        run=each(calls.models),
        peers=(*BY_HAND, *OFFICIAL),
        group="models",
    ),
    Work(
        name="image",
        label="an image of 4 MB base64",
        run=each(calls.image),
        peers=(*BY_HAND, *OFFICIAL),
        group="image",
        concurrency=2,
    ),
    *(
        Work(
            name=way,
            label=label,
            run=calls.many(way),
            peers=("ours",),
            group="fan-out",
            concurrency=64,
            operations=20_000,  # as few as 1,000 would mostly measure the start of a run
            server="no-limits",
        )
        for way, label in (
            ("gather", "a request of 20,000, `asyncio.gather`"),
            ("run-requests", "a request of 20,000, `run_requests`"),
            ("run-batch", "a request of 20,000, `run_batch`, file to file"),
        )
    ),
)
WORKS = {work.name: work for work in _ALL}


@frozen
class MemoryWork:
    """What is asked of a fresh process; see memory.py."""

    name: str
    label: str
    unit: str
    command: dict[str, object]
    peers: tuple[str, ...]


_MEMORY = (
    MemoryWork(
        "open-1000",
        "an open stream, 1,000 open",
        "kB",
        {"work": "open-streams", "streams": 1000},
        (*BY_HAND, *OFFICIAL),
    ),
    MemoryWork(
        "open-5000",
        "an open stream, 5,000 open",
        "kB",
        {"work": "open-streams", "streams": 5000},
        BY_HAND,
    ),
    MemoryWork(
        "image-peak",
        "peak for an image, per byte of it",
        "x",
        {"work": "image-peak"},
        (*BY_HAND, *OFFICIAL),
    ),
)
MEMORY = {work.name: work for work in _MEMORY}
