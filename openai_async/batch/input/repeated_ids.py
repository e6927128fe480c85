"""Tells whether any id of an input is repeated, in 8 MB per million ids; an `IdSet` takes 34.

Only a 64-bit hash of each id is kept, and the hashes are compared at the end. Two ids may have the
same hash, so a repetition found here has to be confirmed by comparing the ids themselves.
"""

from __future__ import annotations

from array import array

# The hashes are compared one bucket at a time, to keep the sets small.
_BUCKETS = 1024


class RepeatedIds:
    """`add` every id, then ask `any_likely()` whether one is repeated."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(_BUCKETS)]

    def add(self, id: str) -> bool:
        """Remember an id. Always true: until the end, every id counts as new."""
        hashed = hash(id)
        self._buckets[hashed % _BUCKETS].append(hashed)
        return True

    def any_likely(self) -> bool:
        """Whether an id was added twice. False is certain; true is nearly always right."""
        return any(len(set(bucket)) < len(bucket) for bucket in self._buckets)
