"""Assembles tool calls from their pieces, however a server marks which piece belongs to which.

The API numbers calls by `index`, and sends the id and name with the first piece of each. Other
servers number all of them 0, leave out the index or the id, send a new id with each piece, repeat
the name in each piece or split it up, or send whole calls, with the arguments as an object.
"""

from __future__ import annotations

import json
from typing import Any

from ..types.normalize import arguments_text, as_call
from ..types.values import MalformedError
from .merging import Fields, Items, Text, index_of, joined, merge

_FUNCTIONS = ("function", "custom")
_ARGUMENTS = ("arguments", "input")


class Calls(Items):
    """The tool calls of an unfinished message; each remembers the `index` of its pieces.

    Attributes:
        unreadable: items that are not calls; kept, so that nothing is lost silently.
    """

    __slots__ = ("_by_index", "_changed", "unreadable")

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: list[Any] = []
        self._by_index: dict[int, list[Fields]] = {}
        self._changed: dict[int, Fields] = {}
        """By their identity, so that it never holds more than there are."""

    def take_changed(self) -> list[Fields]:
        """The calls that have changed since the last time."""
        changed, self._changed = self._changed, {}
        return [*changed.values()]

    def add(self, pieces: Any, depth: int = 0) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take in the `tool_calls` of a delta: a list of pieces, or one piece by itself."""
        for piece in pieces if type(pieces) is list else [pieces]:
            if type(piece) is dict and piece:
                self._add_piece(as_call(piece))
            elif piece:
                self.unreadable.append(piece)

    def add_arguments(self, pieces: Any) -> bool:
        """Take in the `tool_calls` of a delta that only continues the arguments of the last call,
        as most do; any other changes nothing: `False`.

        It does what `add` would do, in a quarter of the time.
        """
        if type(pieces) is not list or len(pieces) != 1 or not self:
            return False
        piece, call = pieces[0], self[-1]
        if type(piece) is not dict or len(piece) != 2 or type(piece.get("index")) is not int:
            return False
        new, function = piece.get("function"), call.get("function")
        if piece["index"] != call["index"] or type(new) is not dict or len(new) != 1:
            return False
        if type(new.get("arguments")) is not str or not isinstance(function, Fields):
            return False
        merge_function(function, new)
        self._changed[id(call)] = call
        return True

    def _add_piece(self, piece: dict[str, Any]) -> None:
        index = index_of(piece)
        call = self._find(index, piece.get("id") or None)
        if call is None and self and _continues(piece) and not _is_whole(_function(self[-1])):
            call = self[-1]  # Nebius and Cerebras number pieces, deepseek may misnumber
        if call is not None and _comes_again(call, piece):
            return
        if call is None or _opens_another(call, piece):
            call = Fields(index=len(self) if index is None else index)
            self.append(call)
            self._by_index.setdefault(call["index"], []).append(call)
        self._changed[id(call)] = call
        for key, value in piece.items():
            if key in _FUNCTIONS and type(value) is dict:
                if not isinstance(call.get(key), Fields):
                    call[key] = Fields()
                merge_function(call[key], value)
            elif key == "id":
                call.setdefault(key, value)
                call[key] = call[key] or value  # the first one, which the user has already seen
            elif key != "index":
                merge(call, {key: value}, 1)

    def _find(self, index: int | None, call_id: Any) -> Fields | None:
        """The call that a piece may belong to: by its index, else by its id, else the last one."""
        if index is not None:
            same = self._by_index.get(index, [])
        elif call_id:
            return next((call for call in self if call.get("id") == call_id), None)
        else:
            same = self
        if call_id:
            for call in reversed(same):
                if call.get("id") == call_id:
                    return call
        return same[-1] if same else None

    def new_in(self, calls: Any) -> list[Any]:
        """The new parts of whole calls, which may have arrived before in part."""
        parts = [_new_part(self, call) for call in (calls if type(calls) is list else [calls])]
        return [part for part in parts if part is not None]

    def whole(self) -> list[Any]:
        """The calls by index; those with the same index in the order they arrived."""
        ordered = sorted(self, key=lambda call: call["index"])
        calls = [Fields({k: v for k, v in call.items() if k != "index"}) for call in ordered]
        return [*calls, *self.unreadable]


def merge_function(held: Fields, piece: dict[str, Any]) -> None:
    """Add a piece of a function, with its name and its arguments."""
    for key, value in piece.items():
        if key == "name":
            _merge_name(held, value)
        elif key in _ARGUMENTS and value is not None:
            text = held.get(key)
            if not isinstance(text, Text):
                text = held[key] = Text()
            if type(value) is str:
                if value and text == ["{}"]:  # an empty object: no arguments yet
                    text.clear()
                text.append(value)
            elif value or not text:
                text[:] = [_as_text(value)]
        else:
            merge(held, {key: value}, 2)


def _merge_name(held: Fields, name: Any) -> None:
    """The name may arrive whole, repeated, growing, or in pieces before the arguments."""
    known, name = held.get("name"), _known(name)
    if not known or type(name) is not str or type(known) is not str:
        held["name"] = known or name
    elif name.startswith(known):
        held["name"] = name
    elif not _has_arguments(held):
        held["name"] = known + name


def _follows_whole(call: Fields, piece: dict[str, Any]) -> bool:
    """Whether `call` is whole, and a piece with its id and name is a whole call too."""
    function, held = _function(piece), _function(call)
    arguments = function.get("arguments")
    return (
        type(arguments) is str
        and bool(piece.get("id") and function.get("name"))
        and (piece.get("id"), function.get("name")) == (call.get("id"), held.get("name"))
        and held.get("arguments") != ["{}"]  # no arguments yet
        and _is_whole({"arguments": [arguments]})
        and _is_whole(held)
    )


def _comes_again(call: Fields, piece: dict[str, Any]) -> bool:
    """Whether a piece is all of `call` once more."""
    return (
        _follows_whole(call, piece)
        and "".join(call["function"]["arguments"]) == piece["function"]["arguments"]
    )


def _opens_another(call: Fields, piece: dict[str, Any]) -> bool:
    """Whether a piece that would be added to `call` is in fact the first piece of another call.

    It is if it has a name and either an id that differs from that of `call` or, without ids, a
    different name or more arguments when those of `call` are already complete. With the same id, it
    is if both are whole calls.
    """
    function, held = _function(piece), _function(call)
    name, known = _known(function.get("name")), held.get("name")
    if not name or not known:
        return False
    ours, theirs = call.get("id"), piece.get("id")
    if ours and theirs:
        # The input of a custom tool is free text, so its end cannot be recognized.
        ended = "custom" in call or not _has_arguments(held) or _is_whole(held)
        return bool(ours != theirs and ended) or _follows_whole(call, piece)
    adds = any(function.get(key) not in (None, "") for key in _ARGUMENTS)
    return (name != known or adds) and _is_whole(held)


def _known(name: Any) -> Any:
    """The name in a piece, which some servers write as a word where there is none."""
    return None if name == "null" else name


def _continues(piece: dict[str, Any]) -> bool:
    """Whether a piece only continues a call: it has neither an id nor a name."""
    return not piece.get("id") and not _known(_function(piece).get("name"))


def _new_part(held: Calls, whole: Any) -> Any:
    """The new part of a whole call: all of it, or the rest of its arguments if their start has
    arrived; `None` if the same call has already arrived.
    """
    alone = Calls()
    alone.add(whole)
    if not alone:
        return whole
    call = joined(alone)[0]
    function = _function(call)
    for known in joined(held):
        ours = _function(known) if type(known) is dict else {}
        same_id = type(known) is dict and (known.get("id") or None) == (call.get("id") or None)
        if not same_id or ours.get("name") != function.get("name"):
            continue
        if ours == function:
            return None
        for key in _ARGUMENTS:
            if ours.get(key) and str(function.get(key)).startswith(ours[key]):
                function[key] = function[key][len(ours[key]) :]
        return call
    return whole


def _function(call: dict[str, Any]) -> dict[str, Any]:
    """The function in a call or in a piece of one; {} if there is none."""
    return next((call[kind] for kind in _FUNCTIONS if isinstance(call.get(kind), dict)), {})


def _as_text(arguments: Any) -> str:
    try:
        return arguments_text(arguments)
    except RecursionError:
        msg = "The stream has arguments that are nested too deep."
        raise MalformedError(msg) from None


def _has_arguments(function: dict[str, Any]) -> bool:
    return any(any(function.get(key) or ()) for key in _ARGUMENTS)


def _is_whole(function: dict[str, Any]) -> bool:
    """Whether the arguments are a complete JSON object, to which nothing can be added."""
    pieces: list[str] = next((function[key] for key in _ARGUMENTS if function.get(key)), [])
    # The end is checked first: if a server repeats the name in each piece, this runs each time.
    last = next((piece for piece in reversed(pieces) if piece.strip()), "")
    if not last.rstrip().endswith("}"):
        return False
    try:
        return isinstance(json.loads("".join(pieces)), dict)
    except (ValueError, RecursionError):
        return False
