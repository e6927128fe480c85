"""Which account, on which server, a client uses.

What is learned about one, such as its rate limits or an outage, says nothing about another.
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

# At least this many of the most recently used accounts are kept, and at most twice as many. With a
# key for each customer there may be any number over time, and each takes a few kilobytes.
GENERATION = 500

_OF_ACCOUNT = ("OpenAI-Organization", "OpenAI-Project", *SECRET_HEADERS)


def account_of(base_url: URL, api_key: APIKey, headers: Mapping[str, str]) -> Account:
    """What identifies an account. A function that returns keys counts as one account."""
    key: Hashable = api_key
    try:
        hash(key)
    except TypeError:
        key = _Identity(api_key)
    return (base_url.origin(), key, *(headers.get(name) for name in _OF_ACCOUNT))


class _Identity:
    """An unhashable object, compared by identity, and kept alive so that its id is not reused."""

    __slots__ = ("_object",)

    def __init__(self, value: object) -> None:
        self._object = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other._object is self._object

    def __hash__(self) -> int:
        return id(self._object)


class ByAccount(Generic[T, Option]):
    """A `T` for each account, made from the same option; shared by a client and its copies.

    Accounts are kept in two generations. Using an account puts it into the younger one. When that
    is full, it becomes the older one, and accounts left in the previous older one are dropped. It
    is thread-safe without a lock, which a fork could leave locked.
    """

    __slots__ = ("_make", "_older", "_younger", "option")

    def __init__(self, make: Callable[[Option], T], option: Option) -> None:
        self.option = option
        self._make = make
        self._younger: dict[Account, T] = {}
        self._older: dict[Account, T] = {}

    def of(self, account: Account) -> T:
        """The `T` of the account, made at its first use."""
        younger = self._younger
        found = younger.get(account)
        if found is None:
            found = self._older.get(account)
            found = younger.setdefault(account, self._make(self.option) if found is None else found)
            if len(younger) >= GENERATION:
                self._older, self._younger = younger, {}
        return found
