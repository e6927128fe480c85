"""Lists that come in pages: one page, and how to request the next.

Each resource has its own class of pages, since objects are built from the types of the fields::

    class FilePage(Page[FileObject]):
        data: list[FileObject] = field(factory=list, metadata={"essential": True})
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, ClassVar, Generic, Self, TypeVar

from attrs import define, field, setters

from ..errors import OpenAIError, invalid_answer
from .base import APIResponse, note_change

Item = TypeVar("Item")


class NextPage:
    """Requests the page after an id; clients attach one to the pages they return.

    It is not pickled with its page: it holds a client, which stays in its process.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[Any]], after: str | None) -> None:
        self.fetch = fetch
        self.used: frozenset[str] = frozenset()
        """The ids after which earlier pages began, to notice a server that goes in circles."""
        self.after = after
        """The id after which this page begins; `None` for the first page."""

    def __deepcopy__(self, memo: object) -> NextPage:
        return self

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _no_next_page, ()


def _no_next_page() -> None:
    """What a pickled `NextPage` becomes."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Page(APIResponse, Generic[Item]):
    """One page of a list.

    `len()` and `for item in page` cover the items of this page. `async for item in page` continues
    with those of all later pages, and requests each page when it is needed.
    """

    _requires: ClassVar[str] = "data"

    object: str = "list"
    data: list[Item] = field(factory=list, metadata={"essential": True})
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None
    _next: NextPage | None = field(
        default=None, init=False, repr=False, eq=False, on_setattr=setters.NO_OP
    )

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.data)

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.iter_pages():
            for item in page:
                yield item

    async def iter_pages(self) -> AsyncIterator[Self]:
        """This page and all later ones."""
        page: Self | None = self
        while page is not None:
            yield page
            page = await page.next_page()

    def has_next_page(self) -> bool:
        """Whether the server says that there is more.

        A filter may leave a page empty: then there is more if its `last_id` is a new one.
        """
        if not self.has_more or self.data:
            return self.has_more
        return bool(self.last_id) and (self._next is None or self.last_id != self._next.after)

    async def next_page(self) -> Self | None:
        """Request the next page, with the options of the call that returned this one.

        Returns:
            The page; `None` if this is the last one.

        Raises:
            APIError: the request failed; call `next_page()` again to retry it.
            APIResponseValidationError: the server does not say where the next page begins, or
                returned this page once more.
        """
        if not self.has_next_page():
            return None
        if self._next is None:
            msg = "This page has no client to request the next page with: call list(after=...)."
            raise OpenAIError(msg)
        after = self._cursor()
        if after is None:
            msg = "has_more is true, but neither last_id nor an item's id leads to the next page."
            raise invalid_answer(msg, self.meta)
        page: Self = await self._next.fetch(after)
        used = self._next.used | {after}
        if page._next is not None:
            page._next.used = used
        if page.data and page._cursor() in used:
            msg = f"The page after {after!r} ends like an earlier one: the server ignores after."
            raise invalid_answer(msg, page.meta)
        return page

    async def get_next_page(self) -> Self | None:
        """`next_page()`, under its name in the official SDK."""
        return await self.next_page()

    def _cursor(self) -> str | None:
        """The id after which the next page begins."""
        return self.last_id or (getattr(self.data[-1], "id", None) if self.data else None) or None
