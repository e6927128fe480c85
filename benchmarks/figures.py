"""What has been measured, kept by round: medians, and ratios within a round.

A busy neighbour on the machine slows down all that runs in the same second. So two figures of the
same round are divided first, and the median is taken of the ratios.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median, quantiles

from attrs import Factory, define, frozen

Key = tuple[str, str]
"""A work and a peer."""


@frozen
class Spread:
    """A median, and where the middle half of the rounds lies."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, middle, high = quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high)


@define
class Figures:
    _rounds: defaultdict[Key, list[float]] = Factory(lambda: defaultdict(list))

    def add(self, key: Key, value: float) -> None:
        """The figure of the next round."""
        self._rounds[key].append(value)

    def has(self, peer: str) -> bool:
        """Whether anything of this peer was measured."""
        return any(key[1] == peer for key in self._rounds)

    def median(self, key: Key) -> float | None:
        return median(self._rounds[key]) if key in self._rounds else None

    def spread(self, key: Key, base: Key | None = None) -> Spread | None:
        """The spread of a figure, or of its ratio to another one; `None` if it was not measured."""
        if key not in self._rounds or (base is not None and base not in self._rounds):
            return None
        values = self._rounds[key]
        if base is not None:
            values = [one / other for one, other in zip(values, self._rounds[base], strict=True)]
        return Spread.of(values)
