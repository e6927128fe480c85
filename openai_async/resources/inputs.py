"""The `input` of embeddings and moderations, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .._unawaited import refuse_unawaited
from ..errors import InvalidArgumentError


def checked_list(value: Any, fits: Callable[[Any], bool], other: str) -> Sequence[Any]:
    """A list of inputs: all of them texts, or all of them something else that `fits`.

    `other` describes the latter in error messages.

    Raises:
        InvalidArgumentError: it is not a list, it is empty, or an item is empty or does not fit.
    """
    if not isinstance(value, list | tuple):
        refuse(value, "input", "a string, or a list of strings")
    if not value:
        msg = "input is an empty list: pass a string, or at least one item."
        raise InvalidArgumentError(msg)
    if {*map(type, value)} == {str} and "" not in value:  # by far the most common case
        return value
    first_is_text = isinstance(value[0], str)
    for place, item in enumerate(value):
        is_text = isinstance(item, str)
        if not (is_text or fits(item)):
            refuse(item, f"input[{place}]", f"a string, or {other}")
        if not item:
            msg = f"input[{place}] is empty, which the API refuses: omit it."
            raise InvalidArgumentError(msg)
        if is_text is not first_is_text:
            msg = f"input[{place}] and input[0] differ in kind: pass them in separate calls."
            raise InvalidArgumentError(msg)
    return value


def check_text(text: str) -> None:
    if not text:
        msg = "input is empty, which the API refuses: pass a text."
        raise InvalidArgumentError(msg)


def refuse(value: object, place: str, wanted: str) -> NoReturn:
    refuse_unawaited({place: value})
    msg = f"{place} has type {type(value).__name__}: pass {wanted}."
    raise InvalidArgumentError(msg)
