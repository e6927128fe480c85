"""A Python function as a tool that a model may call.

    async def weather(city: str, unit: Literal["C", "F"] = "C") -> str:
        "The weather now."

    await client.chat.completions.run_tools(..., tools=[weather])

Its name, description and parameters come from its signature, annotations and docstring.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from ..options import check_bool
from .decoding import Decoder
from .docstrings import Described, described
from .fields import fields_of, with_self
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
        is_async: whether it is known, without calling it, to return an awaitable.
    """

    function: Callable[P, R]
    name: str
    description: str
    param: Mapping[str, Any] = field(repr=False)
    is_async: bool = field(repr=False)
    _decoder: Decoder[dict[str, Any]] = field(repr=False)

    @property
    def __name__(self) -> str:  # as functions have
        return self.name

    # Positional-only, since the function may have a parameter of the same name.
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def arguments(self, text: str, secret: str | None = None) -> dict[str, Any]:
        """The arguments that a model wrote as JSON, each of its annotated type.

        Args:
            text: the JSON.
            secret: API keys, one per line, that no error shows.

        Raises:
            MisfitError: they are not JSON, or do not fit the signature.
        """
        # Models write nothing or null for a function without parameters.
        return self._decoder.decode("{}" if text.strip() in ("", "null") else text, secret)


def tool(
    function: Callable[P, R],
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, object] | None = None,
    strict: bool = True,
    converter: BaseConverter | None = None,
) -> Tool[P, R]:
    """A function as a tool, with a name, a description or parameters that differ from its own.

    Args:
        function: the function, plain or async, or any other callable.
        name: in place of the function's own.
        description: in place of its docstring.
        parameters: a JSON Schema in place of the signature, such as one from an MCP server. The
            function gets the arguments as they are in JSON.
        strict: whether the model has to follow the schema exactly. With `False`, dicts are allowed,
            and the model may leave out parameters that have a default.
        converter: a cattrs converter for the arguments.

    Raises:
        InvalidArgumentError: a parameter has no annotation, or no JSON schema.

    Example::

        tools = [weather, tool(lookup, name="search", strict=False)]
    """
    made = _definition(function, name, description, parameters, strict, converter)
    return Tool(function, *made)


def as_tool(value: Any) -> Tool[..., Any] | Mapping[str, Any]:
    """An item of `tools`: a function becomes a `Tool`, a dict stays as it is."""
    if isinstance(value, Tool | Mapping):
        return value
    is_method = isinstance(value, types.MethodType)
    function = value.__func__ if is_method else value
    if not isinstance(function, types.FunctionType):
        return tool(value)
    kept: _Kept | None = vars(function).get(_ATTRIBUTE)
    if kept is None or kept.function() is not function:
        kept = _Kept(weakref.ref(function))
        setattr(function, _ATTRIBUTE, kept)
    if (definition := kept.definitions.get(is_method)) is None:
        definition = kept.definitions[is_method] = _definition(value)
    return Tool(value, *definition)


def as_tools(values: Any) -> list[Tool[..., Any] | Mapping[str, Any]]:
    """The `tools` of a request, in which functions, `Tool`s and dicts may be mixed."""
    if isinstance(values, Mapping | str) or not isinstance(values, Sequence | Iterator):
        msg = f"tools has type {type(values).__name__}: pass a list of functions, or of dicts."
        raise InvalidArgumentError(msg)
    tools = [as_tool(value) for value in values]  # once: it may be a generator
    seen = set()
    for item in tools:
        name = name_of_tool(item)
        if name in seen:
            msg = f"Two tools are called {name!r}: pass tool(function, name=...) for one of them."
            raise InvalidArgumentError(msg)
        seen.add(name)
    return tools


def name_of_tool(item: Tool[..., Any] | Mapping[str, Any]) -> object:
    """What the model calls a tool; a dict may be anything a server knows."""
    if isinstance(item, Tool):
        return item.name
    inner = item.get("function") or item.get("custom")
    return inner.get("name") if isinstance(inner, Mapping) else id(item)


def sent_tools(values: Any) -> Any:
    """The `tools` as they are sent."""
    if isinstance(values, Sequence) and all(isinstance(value, Mapping) for value in values):
        return values
    return [item.param if isinstance(item, Tool) else item for item in as_tools(values)]


# --- the definition of a function -----------------------------------------------------------------

_Definition = tuple[str, str, Mapping[str, Any], bool, Decoder[dict[str, Any]]]
"""The fields of a `Tool` after its function."""

_ATTRIBUTE = "__openai_async_tool__"


@frozen(eq=False)
class _Kept:
    """The definition of a function, made once and kept in an attribute of it.

    In a WeakKeyDictionary, a function whose types refer to it would never be freed.

    Attributes:
        function: the function. Another one may have its attributes: `functools.wraps` copies them.
        definitions: as a function, and as a method (`True`), which has no `self`.
    """

    function: weakref.ref[types.FunctionType]
    definitions: dict[bool, _Definition] = field(factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:  # for cloudpickle, which takes a function apart
        return types.NoneType, ()


def _definition(
    function: Callable[..., Any],
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, object] | None = None,
    strict: bool = True,
    converter: BaseConverter | None = None,
) -> _Definition:
    """See `tool`."""
    check_bool("strict", strict)
    if not callable(function):
        msg = f"tools has {function!r}: pass functions, tool(function), or dicts."
        raise InvalidArgumentError(msg)
    inner = function.func if isinstance(function, functools.partial) else function
    name = name or getattr(inner, "__name__", "")
    if not name or not _NAME.issuperset(name) or len(name) > 64:
        msg = f"A tool cannot be called {name!r}: pass tool(function, name=...) with a name of "
        raise InvalidArgumentError(msg + "1 to 64 letters, digits, underscores and hyphens.")
    called, source = _called(inner), _source(inner)
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        msg = f"The tool {name} is a generator: pass a function that returns its result."
        raise InvalidArgumentError(msg)
    says = described(source)
    if not says.text and source is not inner:  # an object with `__call__`
        says = Described(described(inner).text, says.parts)
    kind: Any = dict[str, Any]
    if parameters is None:
        kind = _parameters(function, source, name, says.parts)
        parameters = schema_of(kind, strict=strict)
    text = says.text if description is None else description
    definition = {
        "name": name,
        "description": text,
        "parameters": parameters,
        "strict": strict,
    }
    if not text:
        del definition["description"]
    param = {"type": "function", "function": definition}
    is_async = inspect.iscoroutinefunction(called)
    return name, text, param, is_async, Decoder(kind, converter, wrapped=False)


def _called(function: Any) -> Any:
    """What runs when it is called: itself, or the `__call__` of its class."""
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return type(function).__call__


def _source(function: Any) -> Any:
    """The function as it was written, without its decorators; or the class."""
    return inspect.unwrap(_called(function))


def _parameters(
    function: Callable[..., Any], source: Any, name: str, texts: Mapping[str, str]
) -> Any:
    """The parameters of a function, as a TypedDict."""
    hints = _hints(source, name)
    fixed = function.keywords if isinstance(function, functools.partial) else ()
    found: dict[str, Any] = {}
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError) as error:
        msg = f"The tool {name} has no signature: pass parameters=, or a Python function."
        raise InvalidArgumentError(msg) from error
    for key, parameter in signature.parameters.items():
        if key in fixed:
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            msg = f"The tool {name} has the parameter {parameter}, which cannot be passed by name."
            raise InvalidArgumentError(msg)
        hint = hints.get(key, parameter.annotation)
        if hint is parameter.empty or isinstance(hint, str):
            raise _without_annotation(key, name, is_first=not found)
        if with_self(hint, None) is not hint:
            msg = f"The parameter {key} of the tool {name} has the type Self: write out the class."
            raise InvalidArgumentError(msg)
        if key in texts:
            hint = Annotated[hint, texts[key]]
        found[key] = hint if parameter.default is parameter.empty else NotRequired[hint]
    return TypedDict(name, found)  # type: ignore[operator]


def _hints(source: Any, name: str) -> dict[str, Any]:
    """The annotations of the parameters."""
    if isinstance(source, type):
        if (fields := fields_of(source)) is not None:
            return {field.name: field.type for field in fields}
        source = source.__init__  # type: ignore[misc]
    try:
        try:
            return typing.get_type_hints(source, include_extras=True)
        except NameError:  # perhaps that of the result, which is not needed
            parameters = {k: v for k, v in source.__annotations__.items() if k != "return"}
            bare = types.SimpleNamespace(__annotations__=parameters)
            return typing.get_type_hints(bare, source.__globals__, include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        msg = (
            f"An annotation of the tool {name} cannot be evaluated: {error}. Import the name at "
            "run time, and define classes at module level."
        )
        raise InvalidArgumentError(msg) from error


def _without_annotation(key: str, name: str, *, is_first: bool) -> InvalidArgumentError:
    if key == "self" and is_first:
        msg = f"The tool {name} is a method without its object: pass object.{name}."
    else:
        msg = f"The parameter {key} of the tool {name} has no annotation: add one, as in {key}: str"
        msg += ", or fix its value with functools.partial(...)."
    return InvalidArgumentError(msg)
