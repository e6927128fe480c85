"""What docstrings say about a class and its fields, or a function and its parameters.

Google, NumPy and Sphinx styles, and the docstrings below attributes. They are read by
`docstring_parser`, which is imported on first use: it takes 30 ms.
"""

from __future__ import annotations

from contextlib import suppress
from inspect import cleandoc, getsourcefile
from linecache import getlines
from typing import Any

from attrs import field, frozen

# The docstrings of base classes from these modules say nothing about the user's class.
_LIBRARIES = ("builtins", "typing", "typing_extensions", "msgspec", "msgspec._core", "enum")


@frozen
class Described:
    """A description, and those of the fields or parameters by name."""

    text: str = ""
    parts: dict[str, str] = field(factory=dict)


def described(thing: Any) -> Described:
    """What the docstrings of a function or a class say.

    The fields of a class include those it inherits.
    """
    if not isinstance(thing, type):
        return _read(thing)
    parts: dict[str, str] = {}
    for base in reversed(thing.__mro__):
        parts.update(_read(base).parts)
    # A TypedDict does not have the classes it extends in its __mro__.
    for base in getattr(thing, "__orig_bases__", ()):
        if isinstance(base, type):
            parts = described(base).parts | parts
    return Described(_read(thing).text, parts)


def _read(thing: Any) -> Described:
    if getattr(thing, "__module__", None) in _LIBRARIES:
        return Described()
    from docstring_parser import Docstring, parse
    from docstring_parser.attrdoc import add_attribute_docstrings

    doc = vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__
    # A dataclass or a NamedTuple without a docstring has its signature for one.
    is_own = isinstance(doc, str) and not doc.startswith(f"{getattr(thing, '__name__', '')}(")
    found = parse(doc) if is_own else Docstring()
    if isinstance(thing, type) and _is_in_source(thing):
        # There is no source, or not this class in it.
        with suppress(OSError, TypeError, SyntaxError):
            add_attribute_docstrings(thing, found)
    text = "\n\n".join(filter(None, (found.short_description, found.long_description)))
    parts = {p.arg_name: cleandoc(p.description) for p in found.params if p.description}
    return Described(text, parts)


def _is_in_source(cls: type) -> bool:
    """Whether the source of a class can be found. Without this check, its whole module would be
    parsed for each class that is made at run time."""
    try:
        lines = getlines(getsourcefile(cls) or "")
    except TypeError:  # a class of a module without a file
        return False
    statement = f"class {cls.__name__}"
    return any(statement in line for line in lines)
