"""What every response object can do: give back the JSON it came from, and the fields nobody knew.

An object is the parsed JSON plus typed attributes over it. The JSON is kept, not rebuilt:
`.to_dict()` is exactly what came, and `.extra` is found only when somebody asks.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import orjson
from attrs import define, field, frozen
from multidict import CIMultiDict, CIMultiDictProxy

from ..errors import without_secret


def note_change(instance: APIObject, attribute: attrs.Attribute[Any], value: Any) -> Any:
    """An attribute that is set later changes the JSON beside it, also as its parents see it."""
    if instance._raw is not None:
        instance._raw[attribute.name] = _plain(value)
    return value


def without_hooks(cls: type) -> type:
    """A class whose instances may become a `cls`: the same base, the same slots, plain setting.

    For code that makes many objects: it fills one of these in and sets its `__class__`. Python
    allows that where the layouts are the same ("object layout differs" is a TypeError at once), for
    which a class may inherit a slot for weak references, but not have one of its own.
    """
    space = {"__slots__": cls.__dict__["__slots__"], "__setattr__": object.__setattr__}
    return type(cls.__name__, cls.__bases__, space)


@define(kw_only=True, on_setattr=note_change)
class APIObject:
    """A JSON object of the API. Attributes hold what is known, `.extra` the rest.

    What the server leaves out or sends as `null` is the attribute's default; enums are plain
    strings, so that a value newer than this package is no error.
    """

    # The key without which a top-level answer is something else; "" where any object will do.
    _requires: ClassVar[str] = ""

    _raw: dict[str, Any] | None = field(
        default=None, init=False, repr=False, eq=False, on_setattr=attrs.setters.NO_OP
    )

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that came, as a copy; for an object built by hand, its fields."""
        if self._raw is not None:
            return _copied(self._raw)
        return {
            name: _plain(value)
            for name in _known(type(self))
            if (value := getattr(self, name)) is not None
        }

    def to_json(self) -> str:
        """`to_dict()` as JSON text."""
        data = self._raw if self._raw is not None else self.to_dict()
        try:
            return orjson.dumps(data).decode()
        except TypeError:  # lone surrogates, of a server that splits emoji; very deep nesting
            return json.dumps(data, separators=(",", ":"))

    @property
    def extra(self) -> dict[str, Any]:
        """The fields that came and have no attribute here, such as `reasoning_content`."""
        known = _known(type(self))
        return _copied({k: v for k, v in (self._raw or {}).items() if k not in known})


@frozen(kw_only=True)
class RateLimits:
    """The server's own account of its limits, from the `x-ratelimit-*` headers.

    Attributes:
        limit_requests, limit_tokens: how many the window allows.
        remaining_requests, remaining_tokens: how many of them are left.
        reset_requests, reset_tokens: seconds until the window is full again.

    https://platform.openai.com/docs/guides/rate-limits
    """

    limit_requests: int | None = None
    limit_tokens: int | None = None
    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    reset_requests: float | None = None
    reset_tokens: float | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> RateLimits | None:
        """What the headers say; `None` if they say nothing."""
        found: dict[str, Any] = {}
        for what in ("requests", "tokens"):
            for part in ("limit", "remaining"):
                if (count := headers.get(f"x-ratelimit-{part}-{what}", "")).isdecimal():
                    found[f"{part}_{what}"] = int(count)
            if (wait := parse_duration(headers.get(f"x-ratelimit-reset-{what}", ""))) is not None:
                found[f"reset_{what}"] = wait
        return cls(**found) if found else None


_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}


def parse_duration(text: str) -> float | None:
    """Seconds in `1s`, `6m0s`, `120ms`, `1h2m3s` (Go's duration format) or a bare number."""
    if re.fullmatch(r"\d{1,12}(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d{1,12}(\.\d+)?(ms|us|ns|[dhms]))+", text):
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|us|ns|[dhms])", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


@frozen(kw_only=True, weakref_slot=False)
class ResponseMeta:
    """How an answer came: everything that is not in its JSON.

    Attributes:
        request_id: the server's `x-request-id`.
        status: the HTTP status.
        headers: the response's headers (case-insensitive).
        attempts: how many times the request was sent.
        elapsed: seconds from the call to the end of the answer, retries included; for a stream,
            to its first chunk.
    """

    status: int = 0
    _headers: Mapping[str, str] = field(default=CIMultiDictProxy(CIMultiDict()), repr=False)
    attempts: int = 1
    elapsed: float = 0.0
    _secret: str | None = field(default=None, repr=False, eq=False)

    @property
    def headers(self) -> Mapping[str, str]:
        # Looked through when asked for, which is rare: it would be 2 % of a chat request.
        return without_secret(self._headers, self._secret)

    @property
    def request_id(self) -> str | None:
        return self.headers.get("x-request-id")

    @property
    def rate_limits(self) -> RateLimits | None:
        """The server's limits, if its headers tell them."""
        return RateLimits.from_headers(self.headers)

    def __reduce__(self) -> tuple[Any, ...]:
        # aiohttp's headers are a read-only view, which cannot be pickled.
        return _meta, (self.status, CIMultiDict(self.headers), self.attempts, self.elapsed)


def _meta(status: int, headers: Mapping[str, str], attempts: int, elapsed: float) -> ResponseMeta:
    return ResponseMeta(status=status, headers=headers, attempts=attempts, elapsed=elapsed)


@define(kw_only=True, on_setattr=note_change)
class APIResponse(APIObject):
    """The object at the top of an answer; `.meta` tells how it came."""

    meta: ResponseMeta = field(
        default=ResponseMeta(), init=False, repr=False, eq=False, on_setattr=attrs.setters.NO_OP
    )


def _known(cls: type[APIObject]) -> list[str]:
    """The names of the fields that stand in the JSON."""
    return [a.name for a in attrs.fields(cls) if a.init]


def _plain(value: object) -> object:
    """A value as JSON has it."""
    if isinstance(value, APIObject):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _copied(value: dict[str, Any]) -> dict[str, Any]:
    try:
        return copy.deepcopy(value)
    except RecursionError:  # deeper than anybody reads
        return dict(value)
