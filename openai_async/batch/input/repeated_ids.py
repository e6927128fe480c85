"""Whether any id of an input is there twice, in 8 MB per million ids; an `IdSet` takes 34.

Only a hash of 64 bits of each is kept, and they are compared when all are known. Two ids may have
the same hash, so a repetition found here has to be looked for again, with the ids themselves.
"""

from __future__ import annotations

from array import array

# The hashes are compared one bucket after the other, so that a set is made of a few at a time.
_BUCKETS = 1024


class RepeatedIds:
    """`add` every id, then ask whether `any` of them `may` be repeated."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(_BUCKETS)]

    def add(self, id: str) -> bool:
        """Remember an id; for now it counts as new."""
        hashed = hash(id)
        self._buckets[hashed % _BUCKETS].append(hashed)
        return True

    def any_likely(self) -> bool:
        """Whether an id was added twice. If not, that is certain; if so, nearly always."""
        return any(len(set(bucket)) < len(bucket) for bucket in self._buckets)
