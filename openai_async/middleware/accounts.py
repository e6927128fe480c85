"""Which server is asked, and for which account there. What is learnt about one (its rate limits,
whether it is down) says nothing about another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeAlias, TypeVar

from yarl import URL

from ..options import APIKey
from ..wire.redaction import SECRET_HEADERS

T = TypeVar("T")
Option = TypeVar("Option")
Account: TypeAlias = Hashable

# At least this many of the most recently used accounts are remembered, and at most twice as many.
# With a key for each customer there may be any number over time; each takes a few kilobytes.
GENERATION = 500

_OF_ACCOUNT = ("OpenAI-Organization", "OpenAI-Project", *SECRET_HEADERS)


def account_of(base_url: URL, api_key: APIKey, headers: Mapping[str, str]) -> Account:
    """What tells one account from another. A function that returns keys counts as one account."""
    key: Hashable = api_key
    try:
        hash(key)
    except TypeError:
        key = _Identity(api_key)
    return (base_url.origin(), key, *(headers.get(name) for name in _OF_ACCOUNT))


class _Identity:
    """An unhashable object, by identity. It is kept alive, so that no other object gets its id."""

    __slots__ = ("_object",)

    def __init__(self, value: object) -> None:
        self._object = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other._object is self._object

    def __hash__(self) -> int:
        return id(self._object)


class ByAccount(Generic[T, Option]):
    """A `T` for each account, made from the same option; shared by a client and its copies.

    There are two generations. An account that is asked for joins the younger one; when that is
    full, it becomes the older one, and accounts not asked for in all that time are forgotten. No
    step needs a lock, which a fork could leave locked: any thread may ask.
    """

    __slots__ = ("_make", "_older", "_younger", "option")

    def __init__(self, make: Callable[[Option], T], option: Option) -> None:
        self.option = option
        self._make = make
        self._younger: dict[Account, T] = {}
        self._older: dict[Account, T] = {}

    def of(self, account: Account) -> T:
        """The `T` of the account, made if there is none yet."""
        younger = self._younger
        found = younger.get(account)
        if found is None:
            found = self._older.get(account)
            found = younger.setdefault(account, self._make(self.option) if found is None else found)
            if len(younger) >= GENERATION:
                self._older, self._younger = younger, {}
        return found
