"""JSON text as a value of a Python type.

    decoder = Decoder(list[Item])
    items = decoder.decode('{"value": [...]}')

msgspec reads the types that it understands as cattrs would, in a tenth of the time. All other
types, and text that does not fit, go through a cattrs converter, whose error says where and why.
"""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

import attrs
import cattrs
import msgspec
from cattrs.v import transform_error

from ..jsontext import loads
from ..types.values import quoted
from .converter import FROM_TEXT, SCALARS, make_converter
from .fields import fields_of, tag_of
from .schema import UNIONS, WRAPPED, is_model, is_object

T = TypeVar("T")

# A whole answer in a code block of Markdown, as models without a strict mode like to write it.
_FENCED = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


class MisfitError(ValueError):
    """Text that is not JSON, or not of the right type.

    Attributes:
        path: where it does not fit: `items[0].price`; "" for the whole.
        problems: one line for each thing that does not fit.
    """

    def __init__(self, path: str, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.path = path
        self.problems = problems


class Decoder(Generic[T]):
    """Reads the JSON of a type.

    Args:
        kind: the type.
        converter: a cattrs converter to use in place of ours.
        wrapped: whether the value is inside an object; by default, unless it is one itself.
    """

    def __init__(
        self,
        kind: Any,
        converter: cattrs.BaseConverter | None = None,
        *,
        wrapped: bool | None = None,
    ) -> None:
        self._kind = kind
        self._converter = converter
        self._wrapped = not is_object(kind) if wrapped is None else wrapped
        self._quick: Callable[[str], Any] | None = None
        if converter is None and _is_plain(kind, set()):
            with suppress(TypeError, NameError):  # msgspec does not know everything in it
                self._quick = _quick(kind, self._wrapped)

    def decode(self, text: str) -> T:
        """The value that the text stands for.

        Raises:
            MisfitError: it is not JSON, or not of this type.
        """
        if self._quick is not None:
            try:
                return self._quick(text)  # type: ignore[no-any-return]
            except ValueError:  # msgspec's errors are; what is wrong is said below
                pass
        try:
            value = loads(text.encode())
        except ValueError as error:
            fenced = _FENCED.match(text)
            if fenced is None:
                raise MisfitError("", [f"it is not JSON: {quoted(text)}"]) from error
            return self.decode(fenced[1])
        return self.structure(self.inside(value))

    def inside(self, value: Any) -> Any:
        """The value inside the object around it, if there is one.

        A server that ignores the schema sends the value alone.
        """
        if self._wrapped and type(value) is dict and (not value or set(value) == {WRAPPED}):
            return value.get(WRAPPED)
        return value

    def structure(self, value: object) -> T:
        """A value from parsed JSON, which is not wrapped.

        Raises:
            MisfitError: it does not fit the type.
        """
        if self._converter is None:
            # One for each decoder: a converter never forgets the types it has met.
            self._converter = make_converter()
        try:
            return self._converter.structure(value, self._kind)  # type: ignore[no-any-return]
        except Exception as error:  # anything, since classes and hooks of the user run here
            raise _misfit(error) from error


def _quick(kind: Any, wrapped: bool) -> Callable[[str], Any]:
    """Reads a type by msgspec alone."""
    if not wrapped:
        return msgspec.json.Decoder(kind).decode
    read = msgspec.json.Decoder(msgspec.defstruct("Wrapped", [(WRAPPED, kind)])).decode
    return lambda text: getattr(read(text), WRAPPED)


def _misfit(error: Exception) -> MisfitError:
    lines = transform_error(error, path="", format_exception=_said)
    problems, paths = [], []
    for line in lines:
        what, _, path = line.rpartition(" @ ")
        path = path.removeprefix(".")
        paths.append(path)
        problems.append(f"{path}: {what}" if path else what)
    return MisfitError(paths[0] if paths else "", problems or [str(error)])


def _said(error: BaseException, kind: type | None) -> str:
    if isinstance(error, KeyError):
        return "it is missing"
    if callable(reported := getattr(error, "errors", None)):  # a pydantic model's
        first: Any = reported()[0]  # pyright: ignore[reportIndexIssue]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    text = str(error) or type(error).__name__
    return text.partition("\n")[0]


# --- which types msgspec reads as the hooks do ----------------------------------------------------


def _is_plain(kind: Any, seen: set[Any]) -> bool:
    """Whether msgspec reads a type, and everything in it, as the hooks above would.

    Not so for NamedTuples (it reads arrays), attrs classes with converters (it does not run
    them), unions (it knows a few), and subclasses of plain types.
    """
    if get_origin(kind) is typing.Annotated:
        plain = all(isinstance(m, str) for m in kind.__metadata__)
        return plain and _is_plain(kind.__origin__, seen)
    if kind is None or kind in SCALARS or kind in FROM_TEXT:
        return True
    cls, arguments = get_origin(kind), get_args(kind)
    if cls is Literal:
        return all(type(a) in (str, int, types.NoneType) for a in arguments)
    if cls in UNIONS:
        others = [a for a in arguments if a is not types.NoneType]
        return len(others) == 1 and _is_plain(others[0], seen)
    if cls is list:
        return _is_plain(arguments[0], seen)
    if isinstance(kind, enum.EnumType):
        members: list[enum.Enum] = list(kind)  # pyright: ignore[reportAssignmentType]
        return all(type(member.value) in (str, int) for member in members)
    return _is_plain_class(kind, seen)


def _is_plain_class(kind: Any, seen: set[Any]) -> bool:
    if not isinstance(kind, type) or is_model(kind) or issubclass(kind, tuple):
        return False
    if kind in seen:
        return True
    seen.add(kind)
    fields = fields_of(kind)
    if fields is None or tag_of(kind) is not None:
        return False
    if any(field.key != field.name and not issubclass(kind, msgspec.Struct) for field in fields):
        return False
    if attrs.has(kind):
        if any(a.converter or not a.init for a in attrs.fields(kind)):
            return False
        if not kind.__init__.__code__.co_filename.startswith("<attrs generated"):
            return False  # it has its own `__init__`, which msgspec does not call
    elif is_dataclass(kind) and not vars(kind)["__dataclass_params__"].init:
        return False
    return all(_is_plain(field.type, seen) for field in fields)
