"""What is in an output: read once, repaired after a crash, and left with one result for each id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from attrs import Factory, define

from ..ids import IdSet


class Entry(NamedTuple):
    """What a scan needs to know about a result; `line` includes its line end."""

    id: str
    failed: bool = False
    refused: bool = False
    bad_line: bool = False
    line: bytes = b""


class Part(Protocol):
    """A file of results."""

    repaired: int
    """How many damaged lines the last complete iteration of `entries` has skipped."""

    @property
    def results(self) -> int:
        """How many there are; known after `keep`."""
        ...

    def entries(self) -> Iterator[Entry]:
        """The results, read from the disk each time; the same ones until `keep`."""
        ...

    def keep(self, mask: bytes | bytearray) -> None:
        """Keep the entries whose byte in the mask is 1, drop the others, and repair the file."""


@define(kw_only=True)
class OutputScan:
    """What is in an output. `masks` has, for each part, a 1 for each entry to keep."""

    done: IdSet = Factory(IdSet)
    kept: int = 0
    failed: int = 0
    refused: int = 0
    bad_lines: int = 0
    repaired: int = 0
    masks: list[bytearray] = Factory(list)


def scan_output(parts: Sequence[Part], *, retry_failed: bool) -> OutputScan:
    """Read all parts; if they hold nothing but results, keep one result for each id.

    Of several results with the same id, the first good one is kept, else the first.
    """
    scan = _scan(parts, lambda entry: retry_failed and entry.failed)
    if scan.failed and scan.repaired:  # a good result may follow an error
        del scan  # it may be large
        good = IdSet()
        for part in parts:
            for entry in part.entries():
                if not entry.failed:
                    good.add(entry.id)
        scan = _scan(parts, lambda entry: entry.failed and entry.id in good)
        scan.repaired = sum(map(len, scan.masks)) - scan.kept
    for part, mask in zip(parts, scan.masks, strict=True):
        part.keep(mask)
        scan.repaired += part.repaired
    return scan


def _scan(parts: Sequence[Part], dropped: Callable[[Entry], bool]) -> OutputScan:
    scan = OutputScan()
    add = scan.done.add
    for part in parts:
        mask = bytearray()
        for entry in part.entries():
            kept = False
            if not dropped(entry):
                kept = add(entry.id)
                scan.repaired += not kept
                scan.failed += kept and entry.failed
                scan.refused += kept and entry.refused
                scan.bad_lines += kept and entry.bad_line
            mask.append(kept)
        scan.kept += sum(mask)
        scan.masks.append(mask)
    return scan
