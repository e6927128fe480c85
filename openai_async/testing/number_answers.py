"""A small number within the bounds of a JSON Schema. No I/O."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

_ALL_WHOLE = 2**50


def number_answer(schema: Mapping[str, Any], turn: int, *, whole: bool) -> int | float:
    """1, 2 and so on (from 1.5 if it need not be a whole number), as far as that is allowed.

    The bounds are read as the decimal numbers that they are in JSON. If no number
    fits, the answer is the nearest.
    """
    low, high = _bounds(schema)
    # Large floats have no fractions.
    whole = whole or any(abs(one) >= _ALL_WHOLE for one in (low, high) if one is not None)
    step = _step(schema, whole=whole)
    if low is not None and high is not None and "multipleOf" not in schema and not whole:
        while low < high and step > (high - low) / 4:
            step /= 10
    first = None if low is None else math.ceil(low / step)
    if first is not None and _is_excluded(schema, "exclusiveMinimum", first * step):
        first += 1
    last = None if high is None else math.floor(high / step)
    if last is not None and _is_excluded(schema, "exclusiveMaximum", last * step):
        last -= 1
    value = _place(first, last, math.ceil((1 if whole else Fraction(3, 2)) / step), turn) * step
    if value == int(value):
        return int(value)
    return float(value)


def _place(first: int | None, last: int | None, usual: int, turn: int) -> int:
    """Which multiple of the step: the usual one and the next, wrapping around at the bounds."""
    if first is not None and last is not None:
        usual = min(max(usual, first), last)
        return first + (usual - first + turn) % max(last - first + 1, 1)
    if last is not None:
        return min(usual, last) - turn
    return (usual if first is None else max(usual, first)) + turn


def _step(schema: Mapping[str, Any], *, whole: bool) -> Fraction:
    step = _number(schema, "multipleOf")
    if step is None or step <= 0:
        return Fraction(1) if whole else Fraction(1, 2)
    # The whole multiples of 3/2 are those of 3.
    return Fraction(step.numerator) if whole else step


def _bounds(schema: Mapping[str, Any]) -> tuple[Fraction | None, Fraction | None]:
    lows = [_number(schema, name) for name in ("minimum", "exclusiveMinimum")]
    highs = [_number(schema, name) for name in ("maximum", "exclusiveMaximum")]
    return (
        max((one for one in lows if one is not None), default=None),
        min((one for one in highs if one is not None), default=None),
    )


def _is_excluded(schema: Mapping[str, Any], keyword: str, value: Fraction) -> bool:
    return _number(schema, keyword) == value


def _number(schema: Mapping[str, Any], keyword: str) -> Fraction | None:
    value = schema.get(keyword)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Fraction(str(value)) if math.isfinite(value) else None
