"""JSON text as a value of a Python type.

    decoder = Decoder(list[Item])
    items = decoder.decode('{"value": [...]}')

msgspec reads the types that it understands as cattrs would, in a tenth of the time. All other
types, and text that does not fit, go through a cattrs converter, whose error says where and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Generic, TypeVar

import cattrs
import msgspec

from ..errors import InvalidArgumentError
from ..jsontext import loads
from ..types.growing_text import partial_json, utf8
from ..types.values import quoted
from ..wire.redaction import redacted
from .answer_text import json_in
from .converter import make_converter
from .kinds import is_object
from .models import is_model
from .numbers import WrittenFloat, keeps_digits
from .plain_types import is_plain
from .schema import WRAPPED

T = TypeVar("T")

# How many things that do not fit an error lists: a model may get each of a thousand items wrong.
MAX_PROBLEMS = 8
MAX_PATH = 120


class MisfitError(ValueError):
    """Text that is not JSON, or not of the right type.

    Attributes:
        path: where it does not fit: `items[0].price`; "" for the whole.
        problems: one line for each thing that does not fit, the first eight.
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
        wrapped: whether the value is inside an object; by default, if it is not an object itself.

    Raises:
        InvalidArgumentError: the converter is not one.
    """

    def __init__(
        self,
        kind: Any,
        converter: cattrs.BaseConverter | None = None,
        *,
        wrapped: bool | None = None,
    ) -> None:
        if converter is not None and not _can_structure(converter):
            msg = f"converter is {converter!r}: pass a cattrs converter, like make_converter()."
            raise InvalidArgumentError(msg)
        self._kind = kind
        self._converter = converter
        self._wrapped = not is_object(kind) if wrapped is None else wrapped
        self._keeps_digits: bool | None = None  # found out when it is needed
        self._quick: Callable[[str], Any] | None = None
        if converter is None and (is_plain(kind) or (is_model(kind) and not self._wrapped)):
            with suppress(TypeError, NameError):  # msgspec does not know everything in it
                self._quick = _quick(kind, self._wrapped)

    def decode(self, text: str, secret: str | None = None) -> T:
        """The value that the text stands for.

        Args:
            text: JSON, perhaps in a code block of Markdown.
            secret: API keys, one per line, that no error shows, even if the text repeats them.

        Raises:
            MisfitError: it is not JSON, or not of this type.
        """
        if self._quick is not None:
            try:
                return self._quick(text)  # type: ignore[no-any-return]
            except Exception:  # from a validator too; what is wrong is found below
                pass
        value = self.inside(self._loaded(text, secret))
        try:
            return self.structure(value)
        except MisfitError:
            safe = redacted(value, secret)
            if safe == value:
                raise
        # Outside the `except`, whose error has the key in it, and so have its causes.
        self.structure(safe)
        raise MisfitError("", ["what does not match is the API key"])

    def _loaded(self, text: str, secret: str | None) -> Any:
        """The JSON in an answer, parsed."""
        if self._keeps_digits is None:
            self._keeps_digits = keeps_digits(self._kind)
        parse_float = WrittenFloat if self._keeps_digits else None
        first: ValueError | None = None
        for part in json_in(text):
            try:
                return loads(utf8(part), parse_float)
            except ValueError as error:
                first = first or error
        raise MisfitError("", [f"it is not JSON: {quoted(redacted(text, secret))}"]) from first

    def so_far(self, text: str) -> Any:
        """The value of text that may end anywhere, as dicts and lists; `None` if there is none."""
        values = (partial_json(part) for part in json_in(text, growing=True))
        value = next((value for value in values if value is not None), None)
        if self._wrapped and value == {}:
            return None  # the object around it
        return self.inside(value)

    def inside(self, value: Any) -> Any:
        """The value inside the object around it, if there is one.

        A server that ignores the schema sends the value alone.
        """
        if self._wrapped and type(value) is dict and value.keys() == {WRAPPED}:
            return value[WRAPPED]
        return value

    def structure(self, value: object) -> T:
        """A value from parsed JSON, which is not wrapped.

        Raises:
            MisfitError: it does not fit the type.
        """
        if self._converter is None:
            # One for each decoder: a converter keeps every type it has met for ever.
            self._converter = make_converter()
        try:
            return self._converter.structure(value, self._kind)  # type: ignore[no-any-return]
        except Exception as error:  # anything, since classes and hooks of the user run here
            raise _misfit(error) from error


def _can_structure(converter: object) -> bool:
    # A class has the method too, but is not a converter.
    return callable(getattr(converter, "structure", None)) and not isinstance(converter, type)


def _quick(kind: Any, wrapped: bool) -> Callable[[str], Any]:
    """Reads a type by msgspec alone, or by the model itself."""
    if is_model(kind):
        return kind.model_validate_json  # type: ignore[no-any-return]
    if not wrapped:
        return msgspec.json.Decoder(kind).decode
    read = msgspec.json.Decoder(msgspec.defstruct("Wrapped", [(WRAPPED, kind)])).decode
    return lambda text: getattr(read(text), WRAPPED)


def _misfit(error: Exception) -> MisfitError:
    found = [*islice(_problems(error, ""), MAX_PROBLEMS + 1)] or [("", _words(error))]
    lines = [f"{_short(path)}: {what}" if path else what for path, what in found[:MAX_PROBLEMS]]
    if len(found) > MAX_PROBLEMS:
        lines.append("and more")
    return MisfitError(found[0][0], lines)


def _problems(error: BaseException, path: str) -> Iterator[tuple[str, str]]:
    """Each thing that does not fit: where it is, and what is wrong with it."""
    if isinstance(error, cattrs.IterableValidationError | cattrs.ClassValidationError):
        noted, rest = error.group_exceptions()
        for inner, note in noted:
            is_item = isinstance(note, cattrs.IterableValidationNote)
            step = f"[{note.index!r}]" if is_item else note.name  # type: ignore[union-attr]
            yield from _problems(inner, joined(path, str(step)))
        for inner in rest:
            yield from _problems(inner, path)
    elif hasattr(error, "error_count"):  # a pydantic model's
        problems: Any = error.errors()  # type: ignore[attr-defined]
        for problem in problems:
            place = path
            for step in problem["loc"]:
                place = joined(place, f"[{step}]" if isinstance(step, int) else str(step))
            yield place, problem["msg"]
    elif isinstance(error, KeyError) and error.args and path.endswith(str(error.args[0])):
        yield path, "it is missing"
    else:
        yield path, _words(error)


def _short(path: str) -> str:
    """A path for a message, which goes back to the model: of one that is long, both ends."""
    half = MAX_PATH // 2
    return path if len(path) <= MAX_PATH else f"{path[:half]}...{path[-half:]}"


def _words(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def joined(path: str, step: str) -> str:
    """The path of a part: `items` and `[0]` make `items[0]`; with `price`, `items[0].price`."""
    return path + step if not path or not step or step[0] == "[" else f"{path}.{step}"
