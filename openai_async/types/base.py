"""What every response object can do: return the JSON it was made from, and its unknown fields.

An object is the parsed JSON with typed attributes on top. The JSON is kept, not rebuilt:
`.to_dict()` is exactly what was received, and `.extra` is computed only on access.
"""

from __future__ import annotations

import copy
from array import array
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack, cast, get_args

import attrs
from attrs import define, field, frozen
from multidict import CIMultiDict, CIMultiDictProxy

from .model_methods import DictOptions, FieldValue, ModelMethods, json_text
from .structuring import strict_converters, structurer
from .values import MalformedError, key_of

if TYPE_CHECKING:
    from .rate_limits import RateLimits


def note_change(instance: APIObject, attribute: attrs.Attribute[Any], value: Any) -> Any:
    """Setting an attribute updates the JSON too, which parent objects share."""
    if instance._raw is not None:
        instance._raw[key_of(type(instance), attribute.name)] = _plain(value)
    return value


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class APIObject(ModelMethods):
    """A JSON object of the API. Attributes hold the known fields. `.extra` has the rest, which can
    be read as attributes too.

    A field that the server leaves out or sends as `null` has its default. Enums are plain strings,
    so that a value newer than this package is not an error.
    """

    # The key that a top-level response of this type must have; "" if any object will do.
    _requires: ClassVar[str] = ""

    # The JSON keys of attributes that have another name: {"self_harm": "self-harm"}.
    _keys: ClassVar[Mapping[str, str]] = {}

    _raw: dict[str, Any] | None = field(
        default=None, init=False, repr=False, eq=False, on_setattr=attrs.setters.NO_OP
    )

    # A class may have a class method `_prepared`, which returns the received JSON object with
    # misplaced fields moved to where they belong. It is not called if this key has an object.
    _prepared_unless: ClassVar[str] = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make an object from parsed JSON, as if a server had sent it: `to_dict()` returns it.

        Raises:
            ValueError: `data` does not have the right shape.

        Example::

            completion = ChatCompletion.from_dict(json.loads(text))
        """
        return structurer(cls)(dict(data) if isinstance(data, Mapping) else data)

    # Written once for all classes. If attrs wrote it for each of the 36, that would be a fifth of
    # the time that importing this package takes.

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        fields = attrs.fields(type(self))
        return all(getattr(self, a.name) == getattr(other, a.name) for a in fields if a.eq)

    # Mutable objects have no hash.
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = (
            f"{a.name}={(repr if a.repr is True else a.repr)(getattr(self, a.name))}"
            for a in attrs.fields(type(self))
            if a.repr
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def __copy__(self) -> Self:
        # With its own JSON: changing the copy does not change the original.
        twin = object.__new__(type(self))
        for a in attrs.fields(type(self)):
            object.__setattr__(twin, a.name, getattr(self, a.name))
        if self._raw is not None:
            object.__setattr__(twin, "_raw", dict(self._raw))
        return twin

    def to_dict(self, **how: Unpack[DictOptions]) -> dict[str, Any]:
        """A copy of the JSON object that was received; for an object built by hand, its fields.

        It includes later changes: attributes that were set and lists of objects that were changed
        in place, at any depth. With arguments, which are those of the official `to_dict`, it is a
        `model_dump` of the fields that were received.
        """
        return _copied(self._json()) if not how else self._chosen_dict(how)

    def to_json(self, *, indent: int | None = None, **how: Unpack[DictOptions]) -> str:
        """`to_dict(...)` as JSON text: compact, or indented by that many spaces."""
        return json_text(self._json() if not how else self._chosen_dict(how), indent)

    def _json(self) -> dict[str, Any]:
        """`to_dict()`, but sharing what has not changed with the received JSON."""
        if self._raw is None:
            fields = {key: getattr(self, name) for name, key in _known(type(self)).items()}
            return {key: _plain(value) for key, value in fields.items() if value is not None}
        data = dict(self._raw)
        nested = _nested(type(self))  # type: ignore[arg-type] # its objects have no hash
        for name, key in nested.items():
            came, now = data.get(key), _current(getattr(self, name), data.get(key))
            if now is not came:
                data[key] = _plain(now)
        return data

    def _field_values(self) -> Iterator[FieldValue]:
        raw, nested = self._raw or {}, _nested(type(self))  # type: ignore[arg-type] # see above
        for a in attrs.fields(type(self)):
            if not a.init:
                continue
            key, value = key_of(type(self), a.name), getattr(self, a.name)
            is_set = key in raw if self._raw is not None else value is not None
            if a.name in nested:
                # A gateway may have sent it under another key.
                is_set |= isinstance(value, APIObject) and value._raw is not None
                value = _current(value, raw[key]) if key in raw else value
            elif key in raw and not isinstance(value, array):
                value = raw[key]
            value = value.tolist() if isinstance(value, array) else value
            yield FieldValue(a.name, key, value, is_set, value is a.default is None)

    def _set_fields(self, changes: Mapping[str, Any]) -> None:
        known = _known(type(self))
        for name in known.keys() & changes.keys():
            setattr(self, name, changes[name])
        if extra := {name: value for name, value in changes.items() if name not in known}:
            raw = self._json() if self._raw is None else self._raw
            object.__setattr__(self, "_raw", {**raw, **extra})

    @property
    def model_extra(self) -> dict[str, Any]:
        """The received fields that have no attribute. `.extra` also has malformed ones."""
        known = _known(type(self)).values()
        return _copied({k: v for k, v in (self._raw or {}).items() if k not in known})

    @property
    def extra(self) -> dict[str, Any]:
        """The received fields that this class does not define, such as `reasoning_content`, and
        those of the wrong shape, whose attributes have their defaults.
        """
        known = _known(type(self)).values()
        return _copied(
            {k: v for k, v in (self._raw or {}).items() if k not in known or self._is_misfit(k, v)}
        )

    def _is_misfit(self, key: str, value: object) -> bool:
        convert = strict_converters(type(self)).get(key)  # type: ignore[arg-type] # see above
        if convert is None or value is None:
            return False
        try:
            convert(value)
        except (MalformedError, RecursionError):
            return True
        return False


@frozen(kw_only=True, weakref_slot=False)
class ResponseMeta:
    """How a response arrived: everything that is not in its JSON.

    Attributes:
        request_id: the server's `x-request-id`.
        status: the HTTP status.
        headers: the response's headers (case-insensitive).
        attempts: how many times the request was sent.
        elapsed: seconds from the call to the end of the response, retries included; for a stream,
            to its first chunk.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default=CIMultiDictProxy(CIMultiDict()), repr=False)
    attempts: int = 1
    elapsed: float = 0.0

    @property
    def request_id(self) -> str | None:
        return self.headers.get("x-request-id")

    @property
    def rate_limits(self) -> RateLimits | None:
        """The server's rate limits, if its headers state them."""
        from .rate_limits import RateLimits  # its classes take a millisecond to create

        return RateLimits.from_headers(self.headers)

    def __reduce__(self) -> tuple[Any, ...]:
        # aiohttp's headers are a read-only view, which cannot be pickled.
        return _meta, (self.status, CIMultiDict(self.headers), self.attempts, self.elapsed)


def _meta(status: int, headers: Mapping[str, str], attempts: int, elapsed: float) -> ResponseMeta:
    return ResponseMeta(status=status, headers=headers, attempts=attempts, elapsed=elapsed)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class APIResponse(APIObject):
    """The top-level object of a response; `.meta` describes how it arrived."""

    @classmethod
    def _matches(cls, value: dict[str, Any]) -> bool:
        """Whether a JSON object is a response of this type."""
        return not cls._requires or cls._requires in value

    @classmethod
    def _reports_failure(cls, value: dict[str, Any]) -> bool:
        """Whether a response reports a failure in a way of its own."""
        return False

    @property
    def _request_id(self) -> str | None:
        """`.meta.request_id`, under its name in the official SDK."""
        return self.meta.request_id

    def _unreadable(self) -> Any:
        """The essential part of the response that could not be read; `None` if all of it could."""
        return None

    meta: ResponseMeta = field(
        default=ResponseMeta(), init=False, repr=False, eq=False, on_setattr=attrs.setters.NO_OP
    )


def _known(cls: type[APIObject]) -> dict[str, str]:
    """The names of the fields that are in the JSON, with their JSON keys."""
    return {a.name: key_of(cls, a.name) for a in attrs.fields(cls) if a.init}


@cache
def _nested(cls: type[APIObject]) -> dict[str, str]:
    """The names of the fields that hold objects, or lists of them, with their JSON keys."""
    attrs.resolve_types(cls)
    fields = [a for a in attrs.fields(cls) if a.init and _holds_objects(a.type)]
    return {a.name: key_of(cls, a.name) for a in fields}


def _holds_objects(kind: Any) -> bool:
    is_object = isinstance(kind, type) and issubclass(kind, APIObject)
    return is_object or any(map(_holds_objects, get_args(kind)))


def _current(value: object, came: object) -> object:
    """The value of a field that holds objects: `came`, its JSON, if they are still those made from
    it; otherwise the objects, and the items of `came` that are none.
    """
    if isinstance(value, APIObject):
        # It was missing, null or of the wrong shape, and the attribute still has its default.
        missing = value._raw is None and value == type(value)()
        return came if missing else value
    if not isinstance(value, list) or not (value or isinstance(came, list)):
        return came
    if isinstance(came, dict) and [id(getattr(item, "_raw", None)) for item in value] == [id(came)]:
        return came  # a single object, not in a list
    # Items that are not objects were skipped: a null, or a stray item among tool calls.
    made = [item for item in came if type(item) is dict] if isinstance(came, list) else []
    if [id(getattr(item, "_raw", None)) for item in value] != [id(item) for item in made]:
        return value
    # The same objects in the same order. Items that are not objects stay where they were.
    items = iter(value)
    return [next(items) if type(item) is dict else item for item in cast(list[Any], came)]


def _plain(value: object) -> object:
    """A value as plain JSON."""
    if isinstance(value, APIObject):
        return value._json()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, array) else value


def _copied(value: dict[str, Any]) -> dict[str, Any]:
    try:
        return copy.deepcopy(value)
    except RecursionError:  # nested too deep to copy
        return dict(value)
