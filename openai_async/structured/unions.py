"""Reads a value as the member of a union that it fits best.

In strict mode an object has exactly the keys of one member. If several members have the same keys,
they may differ in a constant, so that only one of them fits. Otherwise they are tried in turn.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

from attrs import frozen

from .fields import fields_of, tag_of
from .kinds import unlike, unwrapped
from .models import is_model, properties_of

_MISSING: Any = object()
Read = Callable[[Any], Any]


class Trials(threading.local):
    """What the members of unions have made of parts of the value that is being read.

    A converter has one for all its unions. In a tree whose nodes fit two classes equally well, each
    class reads the nodes below it: without this, a tree of depth 20 would take 2^20 steps.
    """

    def __init__(self) -> None:
        self._running = 0
        # The value is kept: its id would otherwise be used again.
        self._outcomes: dict[tuple[int, Read], tuple[Any, Any, Exception | None]] = {}

    def first_that_fits(
        self, value: Any, members: list[_Member], errors: list[tuple[_Member, Exception]]
    ) -> Any:
        """What the first member that fits makes of the value; `errors` gets those of the others.

        It is `_MISSING` if none fits.
        """
        self._running += 1
        try:
            for member in members:
                made, error = self._tried(value, member.read)
                if error is None:
                    return made
                errors.append((member, error))
            return _MISSING
        finally:
            self._running -= 1
            if not self._running:
                self._outcomes.clear()

    def _tried(self, value: Any, read: Read) -> tuple[Any, Exception | None]:
        key = (id(value), read)
        if key not in self._outcomes:
            outcome: tuple[Any, Any, Exception | None]
            try:
                outcome = value, read(value), None
            except Exception as error:
                outcome = value, None, error
            if type(value) not in (dict, list):
                return outcome[1:]  # not worth keeping
            self._outcomes[key] = outcome
        return self._outcomes[key][1:]


@frozen
class _Member:
    """A member of a union: the type behind it, its keys and constants, and what reads it."""

    plain: Any
    keys: frozenset[str] | None
    constants: Mapping[str, frozenset[tuple[type, Any]]]
    read: Read


def union_hook(kind: Any, readers: list[Read], trials: Trials) -> Callable[[Any, Any], Any]:
    """The hook that reads a union.

    Args:
        kind: the union.
        readers: what reads each of its members.
        trials: those of the converter.
    """
    members = []
    for member, read in zip(get_args(kind), readers, strict=True):
        plain = unwrapped(member)
        members.append(_Member(plain, _keys(plain), _constants(plain), read))

    def structure(value: Any, _: Any) -> Any:
        given = frozenset(value) if type(value) is dict else None
        # The members that look like the value come first; otherwise sorting keeps the order. Text
        # may also fit members other than `str`.
        plain = type(value) if type(value) is not str else None
        tried = sorted(
            members, key=lambda m: m.plain is not plain and (given is None or m.keys != given)
        )
        if given is not None:
            # Constants are compared first, so that most trees need no second try.
            fitting = [m for m in tried if _has_constants(value, m.constants)]
            tried = fitting or tried[:1]
        if len(tried) == 1:
            return tried[0].read(value)
        errors: list[tuple[_Member, Exception]] = []
        made = trials.first_that_fits(value, tried, errors)
        if made is not _MISSING:
            return made
        same = [error for member, error in errors if given is not None and member.keys == given]
        if len(same) == 1:
            raise same[0]
        others = [error for member, error in errors if member.plain not in (None, types.NoneType)]
        if len(others) == 1:
            raise others[0]
        raise unlike(value, kind)

    return structure


def _constants(kind: Any) -> dict[str, frozenset[tuple[type, Any]]]:
    """The fields of a class that only have certain values: a tag, or a `Literal`."""
    found = {}
    for field in () if is_model(kind) else fields_of(kind) or ():
        if get_origin(choice := unwrapped(field.type)) is Literal:
            found[field.key] = frozenset((type(v), v) for v in get_args(choice))
    if (tag := tag_of(kind)) is not None:
        found[tag[0]] = frozenset({(type(tag[1]), tag[1])})
    return found


def _has_constants(value: Any, constants: Mapping[str, frozenset[tuple[type, Any]]]) -> bool:
    """Whether the constants that an object has are allowed ones; they may also be missing."""
    for key, allowed in constants.items():
        given = value.get(key, _MISSING)
        if given is _MISSING:
            continue
        if type(given) in (list, dict) or (type(given), given) not in allowed:
            return False
    return True


def _keys(kind: Any) -> frozenset[str] | None:
    if is_model(kind):
        properties = properties_of(kind)
        return None if properties is None else frozenset(properties)
    fields = fields_of(kind)
    if fields is None:
        return None
    tag = tag_of(kind)
    return frozenset(field.key for field in fields) | ({tag[0]} if tag else set())
