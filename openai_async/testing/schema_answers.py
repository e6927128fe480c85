"""A JSON value that is valid for a JSON Schema: tool arguments, structured outputs. No I/O.

The values are readable: strings are words of the prompt, lists have two elements, numbers are
small. Where the schema leaves a choice (the members of an enum, the branches of an `anyOf`, whether
an optional property is there), each place uses its options in turn, and `seed` says where to start.
So the same seed gives the same answer, another seed another one, and the elements of a list differ.

`not`, `if`, `contains` and `dependentRequired` are ignored.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from .number_answers import number_answer
from .schema_parts import as_list, as_mapping, bound, merge, required, resolve, type_of
from .string_answers import string_answer

# A value that never ends, since its schema requires itself, is cut off after this many levels.
_MAX_HEIGHT = 64
# How many levels a value may have beyond the fewest it needs: two or three turns of a recursion.
_MORE_LEVELS = 8
# From here on everything is as small as the schema allows, ...
_MANY_VALUES = 200
# ... and from here on it is null: only a schema made to be huge has no smaller value.
_MAX_VALUES = 20_000
_USUAL_ITEMS = 2
_MAX_ITEMS = 1_000
_SEEDS = 1_000
_ANNOTATIONS = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$schema", "$id", "$comment", "$anchor", "$defs", "definitions"),
}


def schema_answer(schema: object, words: Sequence[str], seed: int = 0) -> Any:
    """A value for `schema`, with these words in its strings."""
    first = seed % len(words) if words else 0
    writer = _Writer(schema, [*words[first:], *words[:first]] or ["something"], seed % _SEEDS)
    height = writer.height(schema)
    levels = _MAX_HEIGHT // 4 if height == math.inf else int(height)
    return writer.value(schema, levels + _MORE_LEVELS)


@attrs.define
class _Writer:
    root: object
    words: list[str]
    seed: int
    values: int = 0
    # Places are known by the `id` of their schema, so schemas made on the way are kept.
    _kept: dict[tuple[int, str], Any] = attrs.field(factory=dict)
    _turns: dict[object, int] = attrs.field(factory=dict)
    _heights: dict[int, float] = attrs.field(factory=dict)
    _finite: dict[tuple[int, int], bool] = attrs.field(factory=dict)

    def value(self, schema: object, levels: int) -> Any:
        """A value with at most this many levels, as far as the schema allows that."""
        self.values += 1
        if self.values > _MAX_VALUES or levels < 0 or schema is False:
            return None
        if not isinstance(schema, Mapping):
            return self._string({})
        if "const" in schema:
            return schema["const"]
        if members := as_list(schema, "enum"):
            return members[self._turn(id(schema)) % len(members)]
        if (options := self._options(schema)) is not None:
            return self.value(self._chosen(schema, options, levels - 1), levels - 1)
        match type_of(schema):
            case "object":
                return self._object(schema, levels)
            case "array":
                return self._array(schema, levels)
            case "integer" | "number" as kind:
                turn = self.seed + self._turn("number")
                return number_answer(schema, turn, whole=kind == "integer")
            case "boolean":
                return self._turn(id(schema)) % 2 == self.seed % 2
            case "null":
                return None
        return self._string(schema)

    def height(self, schema: object) -> float:
        """How many levels the smallest value has; infinite if there is none."""
        if id(schema) not in self._heights:
            heights = (levels for levels in range(_MAX_HEIGHT) if self._fits(schema, levels))
            self._heights[id(schema)] = next(heights, math.inf)
        return self._heights[id(schema)]

    def _fits(self, schema: object, levels: int) -> bool:
        """Whether there is a value with at most this many levels."""
        if levels < 0 or schema is False:
            return False
        if not isinstance(schema, Mapping) or "const" in schema or "enum" in schema:
            return True
        key = (id(schema), levels)
        if key not in self._finite:
            options = self._options(schema)
            below = _needed(schema) if options is None else options
            fits = (self._fits(child, levels - 1) for child in below)
            self._finite[key] = all(fits) if options is None else any(fits)
        return self._finite[key]

    def _options(self, schema: Mapping[str, Any]) -> list[object] | None:
        """The schemas of which a value fits one, if this schema is made of others."""
        key = (id(schema), "options")
        if key not in self._kept:
            self._kept[key] = self._made_of(schema)
        options: list[object] | None = self._kept[key]
        return options

    def _made_of(self, schema: Mapping[str, Any]) -> list[object] | None:
        if "$ref" in schema:
            return [self._joined(schema, "$ref", [resolve(schema["$ref"], self.root)])]
        if parts := as_list(schema, "allOf"):
            return [self._joined(schema, "allOf", parts)]
        for several in ("anyOf", "oneOf"):
            if branches := as_list(schema, several):
                return [self._joined(schema, several, [branch]) for branch in branches]
        if kinds := as_list(schema, "type"):
            return [self._joined(schema, "type", [{"type": kind}]) for kind in kinds]
        return None

    def _joined(self, schema: Mapping[str, Any], keyword: str, parts: list[object]) -> object:
        """The parts merged with the keywords beside them, such as more properties."""
        beside = {
            name: value
            for name, value in schema.items()
            if name != keyword and name not in _ANNOTATIONS
        }
        if not beside and len(parts) == 1:
            return parts[0]
        flat: list[object] = [beside]
        waiting = list(parts)
        for _ in range(_MAX_HEIGHT):  # references may go round in a circle
            if not waiting:
                break
            part = waiting.pop(0)
            if isinstance(part, Mapping) and "$ref" in part:
                waiting.append(resolve(part["$ref"], self.root))
                part = {name: value for name, value in part.items() if name != "$ref"}
            flat.append(part)
        return merge(flat)

    def _chosen(self, schema: object, options: list[object], levels: int) -> object:
        """The next option that can be finished in time, else the one with the least height."""
        fitting = [option for option in options if self._fits(option, levels)]
        if not fitting or self._hurry():
            return min(options, key=self.height)
        return fitting[(self.seed + self._turn(id(schema))) % len(fitting)]

    def _object(self, schema: Mapping[str, Any], levels: int) -> dict[str, Any]:
        properties, needed = as_mapping(schema, "properties"), dict.fromkeys(required(schema))
        made: dict[str, Any] = {}
        for name in dict.fromkeys((*properties, *needed)):
            child = properties.get(name, True)
            if name in needed or self._takes_optional(child, levels):
                made[name] = self.value(child, levels - 1)
        self._add_free_keys(schema, made, levels)
        return made

    def _takes_optional(self, schema: object, levels: int) -> bool:
        """Every second time, but not the first: the first answer is the smallest object."""
        turn = self.seed + self._turn((id(schema), "optional"))
        return turn % 2 == 1 and not self._hurry() and self._fits(schema, levels - 1)

    def _add_free_keys(self, schema: Mapping[str, Any], made: dict[str, Any], levels: int) -> None:
        """Keys that the schema does not name: as many as it asks for, two for a mapping."""
        others = schema.get("additionalProperties", True)
        count = bound(schema, "minProperties", 0, _MAX_ITEMS)
        is_mapping = isinstance(others, Mapping) and "properties" not in schema
        if is_mapping and not self._hurry() and self._fits(others, levels - 1):
            count = max(count, bound(schema, "maxProperties", _USUAL_ITEMS, _USUAL_ITEMS))
        keys = self._kept.setdefault(
            (id(schema), "keys"), {"type": "string", **as_mapping(schema, "propertyNames")}
        )
        for _ in range(2 * count):
            if len(made) >= count or others is False:
                break
            made.setdefault(str(self.value(keys, levels)), self.value(others, levels - 1))

    def _array(self, schema: Mapping[str, Any], levels: int) -> list[Any]:
        first, rest = _elements(schema)
        least = bound(schema, "minItems", 0, _MAX_ITEMS)
        count = max(least, len(first))
        if not first and not self._hurry() and self._fits(rest, levels - 1):
            count = max(least, _USUAL_ITEMS)
        count = min(count, bound(schema, "maxItems", count, _MAX_ITEMS))
        unique = schema.get("uniqueItems") is True
        made: list[Any] = []
        # Elements that must differ get more attempts; if there are too few, the list is shorter.
        for _ in range(4 * count if unique else count):
            if len(made) == count:
                break
            element = first[len(made)] if len(made) < len(first) else rest
            value = self.value(element, levels - 1)
            if not unique or value not in made:
                made.append(value)
        return made

    def _string(self, schema: Mapping[str, Any]) -> str:
        # Words and formats are counted separately, so Ada's address is ada@example.com.
        turn = self._turn("format" if "format" in schema else "string")
        return string_answer(schema, self.words, turn, self.seed)

    def _turn(self, place: object) -> int:
        """How often this place has been filled before."""
        turn = self._turns[place] = self._turns.get(place, -1) + 1
        return turn

    def _hurry(self) -> bool:
        return self.values > _MANY_VALUES


def _needed(schema: Mapping[str, Any]) -> list[object]:
    """The schemas of the parts that a value must have."""
    match type_of(schema):
        case "object":
            properties = as_mapping(schema, "properties")
            return [properties.get(name, True) for name in required(schema)]
        case "array":
            first, rest = _elements(schema)
            count = bound(schema, "minItems", 0, _MAX_ITEMS)
            return [*first[:count], *([rest] if count > len(first) else [])]
    return []


def _elements(schema: Mapping[str, Any]) -> tuple[list[object], object]:
    """The schemas of the first elements, and that of all others."""
    items = schema.get("items", True)
    if isinstance(items, list):  # as it was written before 2020
        return items, schema.get("additionalItems", True)
    return as_list(schema, "prefixItems"), items
