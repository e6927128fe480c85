"""A Python function as a tool that a model may call.

    async def weather(city: str, unit: Literal["C", "F"] = "C") -> str:
        "The weather now."

    await client.chat.completions.run_tools(..., tools=[weather])

Its name, description and parameters come from its signature, annotations and docstring.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    NotRequired,
    ParamSpec,
    TypedDict,
    TypeVar,
)

from attrs import field, frozen

from ..errors import InvalidArgumentError
from .decoding import Decoder
from .docstrings import described
from .schema import schema_of

if TYPE_CHECKING:
    from cattrs import BaseConverter

P = ParamSpec("P")
R = TypeVar("R")

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


@frozen(eq=False)
class Tool(Generic[P, R]):
    """A function as a tool. Calling it calls the function.

    Attributes:
        function: the function, plain or async.
        name: what the model calls it.
        description: what the model is told about it.
        param: its entry in the `tools` of a request.
    """

    function: Callable[P, R]
    name: str
    description: str
    param: Mapping[str, Any] = field(repr=False)
    _decoder: Decoder[dict[str, Any]] = field(repr=False)

    @property
    def __name__(self) -> str:  # as functions have
        return self.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def arguments(self, text: str) -> dict[str, Any]:
        """The arguments that a model wrote as JSON, each of its annotated type.

        Raises:
            MisfitError: they are not JSON, or do not fit the signature.
        """
        # Models write nothing at all for a function without parameters.
        return self._decoder.decode(text if text.strip() else "{}")


def tool(
    function: Callable[P, R],
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = True,
    converter: BaseConverter | None = None,
) -> Tool[P, R]:
    """A function as a tool, where its signature and docstring do not say all.

    Args:
        name: in place of the function's own.
        description: in place of its docstring.
        strict: whether the model is held to the schema exactly; `False` allows dicts and defaults.
        converter: a cattrs converter for the arguments.

    Raises:
        InvalidArgumentError: a parameter has no annotation, or no JSON schema.

    Example::

        tools = [weather, tool(lookup, name="search", strict=False)]
    """
    if not callable(function):
        msg = f"tools has {function!r}: pass functions, tool(function), or dicts."
        raise InvalidArgumentError(msg)
    name = name or getattr(function, "__name__", "")
    if not name or not _NAME.issuperset(name) or len(name) > 64:
        msg = f"A tool cannot be called {name!r}: pass tool(function, name=...) with a name of "
        raise InvalidArgumentError(msg + "1 to 64 letters, digits, underscores and hyphens.")
    says = described(inspect.unwrap(function))
    parameters = _parameters(function, name, says.parts)
    text = says.text if description is None else description
    definition = {
        "name": name,
        "description": text,
        "parameters": schema_of(parameters, strict=strict),
        "strict": strict,
    }
    if not text:
        del definition["description"]
    param = {"type": "function", "function": definition}
    return Tool(function, name, text, param, Decoder(parameters, converter))


def as_tool(value: Any) -> Tool[..., Any] | Mapping[str, Any]:
    """An item of `tools`: functions become a `Tool`, dicts stay as they are."""
    if isinstance(value, Tool | Mapping):
        return value
    try:
        return _cached(value)
    except TypeError:  # a callable without a hash
        return tool(value)


def as_tools(values: Any) -> list[Tool[..., Any] | Mapping[str, Any]]:
    """The `tools` of a request, in which functions and tools may stand beside dicts."""
    if isinstance(values, Mapping | str) or not isinstance(values, Sequence):
        msg = f"tools has type {type(values).__name__}: pass a list of functions, or of dicts."
        raise InvalidArgumentError(msg)
    tools = [as_tool(value) for value in values]
    names = [t.name for t in tools if isinstance(t, Tool)]
    for name in names:
        if names.count(name) > 1:
            msg = f"Two tools are called {name!r}: pass tool(function, name=...) for one of them."
            raise InvalidArgumentError(msg)
    return tools


def sent_tools(values: Any) -> Any:
    """The `tools` as they are sent."""
    if isinstance(values, Sequence) and all(isinstance(value, Mapping) for value in values):
        return values
    return [item.param if isinstance(item, Tool) else item for item in as_tools(values)]


def _parameters(function: Callable[..., Any], name: str, texts: Mapping[str, str]) -> Any:
    """The parameters of a function, as a TypedDict."""
    called = function if inspect.isroutine(function) else type(function).__call__
    source = inspect.unwrap(getattr(function, "func", called))  # that of a `functools.partial`
    try:
        hints = typing.get_type_hints(source, include_extras=True)
    except NameError as error:
        msg = f"An annotation of the tool {name} cannot be evaluated: {error}."
        raise InvalidArgumentError(msg) from error
    found: dict[str, Any] = {}
    for key, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            msg = (
                f"The tool {name} has the parameter {parameter}, which a model cannot pass by name."
            )
            raise InvalidArgumentError(msg)
        if key not in hints:
            msg = f"The parameter {key} of the tool {name} has no annotation: add one, "
            raise InvalidArgumentError(f"{msg}as in {key}: str.")
        hint = Annotated[hints[key], texts[key]] if key in texts else hints[key]
        found[key] = hint if parameter.default is parameter.empty else NotRequired[hint]
    return TypedDict(name, found)  # type: ignore[operator]


# Bounded, since programs also make functions at run time, which would never be freed.
_cached = lru_cache(maxsize=256)(tool)
