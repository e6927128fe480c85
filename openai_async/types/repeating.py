"""Makes many chunks that differ only in their text, without structuring the JSON of each.

The chunks of a stream are alike, apart from one text and the padding. So each is a copy of the
first one, which takes less than half the time of parsing and structuring. No attribute is an object
that two chunks would then share, and each chunk has JSON of its own, because its attributes can be
set. Unknown fields that are objects are shared, but `.extra` and `.to_dict()` return copies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import attrs

from .chat_chunk import ChatCompletionChunk, ChoiceDelta, ChunkChoice
from .structuring import structurer, without_hooks

Make = Callable[[tuple[Any, ...]], ChatCompletionChunk]

_CLASSES = {"chunk": ChatCompletionChunk, "choice": ChunkChoice, "delta": ChoiceDelta}
# The fields that hold objects. All others hold text, numbers or `None`, whatever was sent.
_OBJECTS = {
    "chunk": ("usage", "moderation"),
    "choice": ("logprobs",),
    "delta": ("tool_calls", "function_call", "audio"),
}


def is_flat(event: dict[str, Any]) -> bool:
    """Whether there is no object in the chunk of an event, except its one choice and its delta."""
    (choice,) = event["choices"]
    parts = {"chunk": event, "choice": choice, "delta": choice["delta"]}
    return all(parts[name].get(key) is None for name in parts for key in _OBJECTS[name])


def chunk_maker(event: dict[str, Any], field: str, padded: bool) -> Make:
    """The function that makes the chunk of `(..., text)` or, if padded, `(..., text, padding)`.

    The chunk is that of the event, which must be flat, with this text in `field` of its delta, and
    with this padding. The event must not be changed afterwards.
    """
    chunk = structurer(ChatCompletionChunk)(event)
    (choice,) = chunk.choices
    make: Make = _factory(field, padded)(chunk, choice, choice.delta)
    return make


@cache
def _factory(field: str, padded: bool) -> Callable[..., Make]:
    """Generate and compile the code, once; for `content`, say::

    def factory(chunk, choice, delta):
        chunk_raw = chunk._raw
        chunk_id = chunk.id
        ...
        def make(match):
            raw_delta = delta_raw.copy()
            raw_delta['content'] = match[1]
            ...
            new_delta = delta_twin()
            new_delta._raw = raw_delta
            new_delta.content = match[1]
            new_delta.role = delta_role
            ...
            new_delta.__class__ = delta_class
            ...
            return new_chunk
        return make
    """
    names: dict[str, Any] = {}
    given = {
        "delta": {field: "match[1]"},
        "choice": {"delta": "new_delta"},
        "chunk": {"choices": "[new_choice]"} | ({"obfuscation": "match[2]"} if padded else {}),
    }
    known, body = [], []
    for name in ("delta", "choice", "chunk"):
        cls = _CLASSES[name]
        names |= {f"{name}_twin": without_hooks(cls), f"{name}_class": cls}
        new, raw = f"new_{name}", f"raw_{name}"
        body.append(f"{raw} = {name}_raw.copy()")
        for key, value in given[name].items():
            body.append(f"{raw}[{key!r}] = {value.replace('new_', 'raw_')}")
        body += [f"{new} = {name}_twin()", f"{new}._raw = {raw}"]
        known.append(f"{name}_raw = {name}._raw")
        for a in attrs.fields(cls):
            if a.name != "_raw":
                known.append(f"{name}_{a.name} = {name}.{a.name}")
                body.append(f"{new}.{a.name} = {given[name].get(a.name, f'{name}_{a.name}')}")
        body.append(f"{new}.__class__ = {name}_class")
    lines = ["def factory(chunk, choice, delta):", *(f"    {line}" for line in known)]
    lines += ["    def make(match):", *(f"        {line}" for line in body)]
    lines += ["        return new_chunk", "    return make"]
    exec("\n".join(lines), names)
    return names["factory"]  # type: ignore[no-any-return]
