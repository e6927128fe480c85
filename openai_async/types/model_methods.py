"""The methods of the official SDK's answers, which are pydantic models: `model_dump` and others.

Their arguments mean the same as there. The values are those that were received; fields that were
not received have their defaults.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeAlias, TypedDict

from msgspec.json import encode
from msgspec.json import format as indented

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

IncEx: TypeAlias = set[int] | set[str] | Mapping[int, Any] | Mapping[str, Any]
"""Names of fields, or indices of a list; in a mapping, `True` or what to choose of each."""

_ALL = "__all__"


class DictOptions(TypedDict, total=False):
    """The arguments of the official `to_dict` and `to_json`; see `model_dump`."""

    mode: Literal["json", "python"]
    use_api_names: bool
    exclude_unset: bool
    exclude_defaults: bool
    exclude_none: bool
    warnings: bool


class FieldValue(NamedTuple):
    """One field of an object.

    Attributes:
        name, key: the name of the attribute, and the key in the JSON.
        value: JSON, an object, or a list of them.
        is_set: whether it was received, or set later.
        is_default: whether it is the `None` of a field that may be left out.
    """

    name: str
    key: str
    value: Any
    is_set: bool
    is_default: bool


class ModelMethods:
    """The base of `APIObject`, which says what the fields of an answer are."""

    __slots__ = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> CoreSchema:
        """What makes an answer a field of a pydantic model, or what a FastAPI route returns."""
        from pydantic_core import core_schema

        as_dict = core_schema.dict_schema()
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.from_dict(value),
            json_schema_input_schema=as_dict,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls.model_dump, return_schema=as_dict
            ),
        )

    def _field_values(self) -> Iterator[FieldValue]:
        raise NotImplementedError

    def _set_fields(self, changes: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def _chosen_dict(self, how: DictOptions) -> dict[str, Any]:
        options: Any = {"exclude_unset": True, **how}
        options["by_alias"] = options.pop("use_api_names", True)
        return self.model_dump(**options)

    if not TYPE_CHECKING:  # a type checker that sees `__getattr__` accepts any name

        def __getattr__(self, name: str) -> object:
            """A received field that has no attribute of its own, such as `reasoning_content`."""
            raw = None if name.startswith("_") else self._raw
            if raw is None or name not in raw:
                msg = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(msg, name=name, obj=self)
            return raw[name]

    @property
    def model_extra(self) -> dict[str, Any]:
        """The received fields that have no attribute."""
        raise NotImplementedError

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the attributes that were received, or set later."""
        return {field.name for field in self._field_values() if field.is_set}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with some attributes changed. Unless `deep`, it shares nested objects."""
        copied = copy.deepcopy(self) if deep else copy.copy(self)
        copied._set_fields(update or {})
        return copied

    def model_dump(
        self,
        *,
        mode: Literal["json", "python"] = "python",
        include: IncEx | None = None,
        exclude: IncEx | None = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        round_trip: bool = False,
        warnings: bool | Literal["none", "warn", "error"] = True,
    ) -> dict[str, Any]:
        """All fields as a dict, at any depth, followed by those that have no attribute.

        Args:
            mode: makes no difference, as answers hold only JSON values.
            include, exclude: names of fields, or a dict from names to what to choose of each:
                `{"choices": {0: {"message": {"content"}}}}`. `"__all__"` is every item of a list.
            by_alias: use the keys of the JSON where attributes have other names (`self-harm`).
            exclude_unset: leave out the fields that were not received.
            exclude_defaults: leave out the optional fields that are `None`.
            exclude_none: leave out everything that is `None`.
            round_trip, warnings: accepted, but have no effect.

        Raises:
            ValueError: `mode` is neither of the two.
        """
        if mode not in ("json", "python"):
            msg = f'mode is {mode!r}: pass "python" or "json".'
            raise ValueError(msg)
        how = _How(bool(by_alias), exclude_unset, exclude_defaults, exclude_none)
        return _dumped(self, how, include, exclude)  # type: ignore[no-any-return]

    def model_dump_json(
        self,
        *,
        indent: int | None = None,
        ensure_ascii: bool = False,
        include: IncEx | None = None,
        exclude: IncEx | None = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        round_trip: bool = False,
        warnings: bool | Literal["none", "warn", "error"] = True,
    ) -> str:
        """`model_dump(...)` as JSON text: compact, or indented by that many spaces."""
        how = _How(bool(by_alias), exclude_unset, exclude_defaults, exclude_none)
        return json_text(_dumped(self, how, include, exclude), indent, ascii_only=ensure_ascii)


def json_text(value: object, indent: int | None = None, *, ascii_only: bool = False) -> str:
    """A JSON value as text. NaN and infinities, which are not JSON, are written as `null`."""
    if not ascii_only:
        try:
            data = encode(value)
        except ValueError:  # lone surrogates, where a server split an emoji
            pass
        else:
            return (data if indent is None else indented(data, indent=indent)).decode()
    value = json.loads(json.dumps(value), parse_constant=lambda _: None)
    return json.dumps(value, indent=indent, separators=(",", ":") if indent is None else None)


# --- dumping ---


class _How(NamedTuple):
    by_alias: bool
    exclude_unset: bool
    exclude_defaults: bool
    exclude_none: bool


def _dumped(value: Any, how: _How, include: Any, exclude: Any) -> Any:
    """A value as plain JSON, with only what is chosen of it."""
    if isinstance(value, ModelMethods):
        items = list(_items(value, how))
    elif isinstance(value, list):
        return [
            _dumped(item, how, *rest)
            for place, item in enumerate(value)
            if (rest := _chosen((place, place - len(value), _ALL), include, exclude)) is not None
        ]
    elif isinstance(value, dict):
        items = [(key, key, item) for key, item in value.items()]
    else:
        return value
    return {
        key: _dumped(item, how, *rest)
        for name, key, item in items
        if (rest := _chosen((name, _ALL), include, exclude)) is not None
    }


def _items(value: ModelMethods, how: _How) -> Iterator[tuple[str, str, Any]]:
    """Name, key and value of the fields that are not left out."""
    for field in value._field_values():
        if (
            (field.is_set or not how.exclude_unset)
            and not (field.is_default and how.exclude_defaults)
            and not (field.value is None and how.exclude_none)
        ):
            yield field.name, field.key if how.by_alias else field.name, field.value
    for key, item in value.model_extra.items():
        if not (item is None and how.exclude_none):
            yield key, key, item


def _chosen(names: tuple[int | str, ...], include: Any, exclude: Any) -> tuple[Any, Any] | None:
    """What to include and exclude of a value with one of these names; `None` to leave it out."""
    within, without = _choice(names, include), _choice(names, exclude)
    if without is True or (include is not None and within is False):
        return None
    return None if include is None or within is True else within, without or None


def _choice(names: tuple[int | str, ...], chosen: Any) -> Any:
    """What a choice says of a value: `True` for all of it, a choice, or `False` for nothing."""
    if chosen is None:
        return False
    if not isinstance(chosen, Mapping):
        return any(name in chosen for name in names)
    found = [chosen[name] for name in names if name in chosen]
    if not found:
        return False
    if found[0] is True or found[0] is ... or found[0] is None:
        return True
    return _merged([choice for choice in found if choice is not True and choice is not ...])


def _merged(choices: list[Any]) -> Any:
    """Several choices for one value, such as those for item 0 and for all items."""
    if len(choices) == 1:
        return choices[0]
    merged: dict[Any, Any] = {}
    for choice in choices:
        inner = choice if isinstance(choice, Mapping) else dict.fromkeys(choice, True)
        for name, chosen in inner.items():
            held = merged.get(name, chosen)
            merged[name] = True if True in (held, chosen) else _merged([held, chosen])
    return merged
