"""Where the CPU time of a request and of a streamed chunk goes: microseconds by part.

    python benchmarks/parts.py [--peer ours] [--only chat,stream-one,stream] [--seconds 10]

Runs a workload with and without the sampler in turns (see sampler.py). The times are those without
it, divided in proportion to the samples. Only public names of the package are used, so older
versions can be measured in the same way.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import sys
from pathlib import Path
from statistics import median

from attrs import frozen

import machine
import processes
from peers import PEERS, Peer
from sampler import Sampler
from works import RUST, WORKS, Work

_HERE = str(Path(__file__).parent)
_SYSTEM = "system calls: send, receive, wait"
_JSON = "JSON"

# The first entry that is a prefix of a module's path counts.
_FILES = (
    ("openai_async/http/", "the exchange: pool, timeouts, headers"),
    ("openai_async/middleware/", "middlewares: retry"),
    ("openai_async/streaming/", "the stream's life cycle"),
    ("openai_async/types/", "typed objects"),
    ("openai_async/wire/sse", "splitting into events"),
    ("openai_async/wire/assembly", "assembly"),
    ("openai_async/wire/call_assembly", "assembly"),
    ("openai_async/wire/", "reading answers"),
    ("openai_async/jsontext", "JSON: our checks around its library"),
    ("openai_async/", "the call: arguments, body, request"),
    *((name, "the event loop") for name in ("asyncio/", "selectors")),
    ("ssl", "TLS"),
    *((f"{name}/", "aiohttp") for name in ("aiohttp", "multidict", "yarl", "aiosignal")),
    *((f"{name}/", "aiohttp") for name in ("frozenlist", "propcache")),
    *((f"{name}/", "the official SDK") for name in ("openai", "pydantic", "anyio")),
    *((f"{name}/", "httpx") for name in ("httpx", "httpx2", "httpcore", "httpcore2", "h11")),
)
_MODULES = {
    "orjson": _JSON,
    "msgspec": _JSON,
    "_json": _JSON,
    "_socket": _SYSTEM,
    "select": _SYSTEM,
    "_ssl": "TLS",
}
_PEERS = [name for name, kind in PEERS.items() if not kind.uvloop and name not in RUST]
"""Those written in Python: what runs elsewhere has no frames."""


def part_of(file: str, module: str | None) -> str | None:
    """See `sampler.PartOf`."""
    if module is not None and (part := _MODULES.get(module.partition(".")[0])):
        return part
    if file.startswith(f"{_HERE}/"):
        return "the caller"
    if file.startswith(("<structure ", "<cattrs ")):
        return "typed objects"
    path = _path(file)
    return next((part for beginning, part in _FILES if path.startswith(beginning)), None)


def _path(file: str) -> str:
    """The path of a module, from the top of its package: "openai_async/http/pool.py"."""
    if file.startswith("<"):  # "<attrs generated init openai_async.options.Timeout>"
        return file.rstrip(">").rpartition(" ")[2].replace(".", "/")
    roots = [entry for entry in sys.path if entry and file.startswith(f"{entry}/")]
    return file[len(max(roots, key=len)) + 1 :] if roots else file


@frozen
class Parts:
    """What was measured for one workload.

    Attributes:
        micros: CPU time of an operation.
        samples: how many fell into each part.
    """

    micros: float
    samples: dict[str, int]

    def cell(self, part: str) -> str:
        """Microseconds, and their standard error from the counts."""
        total = sum(self.samples.values())
        share = self.samples.get(part, 0) / total
        if not share:
            return ""
        error = math.sqrt(share * (1 - share) / total)
        return f"{self.micros * share:.1f} ± {self.micros * error:.1f}"


async def measure(peer: Peer, work: Work, seconds: float) -> Parts:
    """Run for so many seconds of CPU time with the sampler, and as many without."""
    sampler = Sampler(part_of)
    calls = 4 * work.concurrency
    await work.run(peer, calls, work.concurrency)  # connections, imports, generated code
    plain, spent = [], 0.0
    while spent < seconds:
        gc.collect()
        cpu = await work.run(peer, calls, work.concurrency)
        plain.append(cpu / (calls * work.size) * 1e6)
        gc.collect()
        with sampler:
            spent += await work.run(peer, calls, work.concurrency)
        calls = max(calls, int(calls * 0.5 / cpu))  # half a second each
    return Parts(median(plain), dict(sampler.counts))


def table(measured: dict[str, Parts]) -> str:
    """Markdown, sorted by the times of the first workload, largest first."""
    columns = list(measured.values())
    names = sorted(
        {name for parts in columns for name in parts.samples},
        key=lambda name: [-parts.micros * parts.samples.get(name, 0) for parts in columns],
    )
    head = ["µs of CPU time", *(WORKS[name].label for name in measured)]
    rows = [[name, *(parts.cell(name) for parts in columns)] for name in names]
    total = ["all", *(f"{parts.micros:.1f}" for parts in columns)]
    lines = [head, ["---", *("--:" for _ in columns)], *rows, total]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


async def _measure_all(peer: Peer, works: list[Work], seconds: float) -> dict[str, Parts]:
    measured = {work.name: await measure(peer, work, seconds) for work in works}
    await peer.close()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description="Where does the time go?")
    parser.add_argument("--peer", choices=_PEERS, default="ours")
    parser.add_argument("--only", default="chat,stream-one,stream", help="works of compare.py")
    parser.add_argument("--seconds", type=float, default=10.0, help="of CPU time for each work")
    options = parser.parse_args()
    names = options.only.split(",")
    known = {name: work for name, work in WORKS.items() if work.server == "plain"}
    if wrong := [name for name in names if name not in known]:
        parser.error(f"{', '.join(wrong)}: not among {', '.join(known)}")
    works = [known[name] for name in names]
    if lazy := [work.name for work in works if options.peer not in work.peers]:
        parser.error(f"{options.peer}: does not do {', '.join(lazy)}")
    kind = PEERS[options.peer]
    if kind.missing:
        parser.error(f"{options.peer}: needs {' and '.join(kind.missing)}")
    with processes.running_server() as url:
        machine.pin(0)
        machine.allow_many_files()
        measured = asyncio.run(_measure_all(kind.make(url), works, options.seconds))
    print(f"{kind.label}; {machine.describe()}\n\n{table(measured)}")
    sys.stdout.flush()


if __name__ == "__main__":
    processes.run(main)
