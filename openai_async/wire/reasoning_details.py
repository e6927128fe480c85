"""Assembles the parts of a model's reasoning: `reasoning_details`, `thinking_blocks`.

They have to be sent back exactly as the model made them: each text whole, with its own signature,
and what is encrypted unchanged. Otherwise the next request is refused.
"""

from __future__ import annotations

from typing import Any

from ..types.reasoning import field_text
from .merging import Fields, Items, merge

# Not text in pieces: numbers, and encrypted data, which arrives as a whole.
_UNJOINED = frozenset({"index", "data"})


class Details(Items):
    """The parts of a message's reasoning, unfinished."""

    __slots__ = ()

    def take(self, items: list[Any]) -> None:
        """Add the items of one delta."""
        for place, item in enumerate(items):
            if type(item) is not dict:
                self.append(item)
                continue
            held = self._begun(item, first=place == 0)
            if held is None:
                held = Fields()
                self.append(held)
            for key, value in item.items():
                if key not in _UNJOINED:
                    merge(held, {key: value}, 1)
                elif value is not None or key not in held:
                    held[key] = value

    def _begun(self, item: dict[str, Any], *, first: bool) -> Fields | None:
        """The item that this one is a piece of; `None` if it is a new one.

        Pieces of an item have the same `index`. Where there is none, a delta goes on with the last
        item, unless that is of another kind or already has its signature.
        """
        index, kind = item.get("index"), item.get("type")
        for held in reversed(self):
            if not isinstance(held, Fields) or held.get("index") != index:
                if index is None:
                    return None
                continue
            if kind is not None and held.get("type") not in (None, kind):
                return None
            if _differ(held, item, "id") or _differ(held, item, "data"):
                return None
            if held is not self[-1] and field_text("reasoning_details", [item]):
                return None  # keeps texts in order; only a signature may come late
            ended = held.get("signature") and not item.get("signature")
            return None if index is None and (not first or ended) else held
        return None


def _differ(held: Fields, item: dict[str, Any], key: str) -> bool:
    return bool(item.get(key) and held.get(key) and item[key] != held[key])
