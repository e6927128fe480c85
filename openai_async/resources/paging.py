"""What the `list` methods return: await it for the first page, or iterate over it for all items.

page = await client.files.list(limit=100)
async for file in client.files.list(): ...
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from ..http.urls import query_values
from ..options import REQUEST_OPTIONS
from ..types.pages import NextPage, Page
from .base_client import BaseClient
from .endpoint import Endpoint

# An awaited list can be iterated over with `async for`, too.
L = TypeVar("L", bound=AsyncIterable[Any])
P = TypeVar("P", bound=Page[Any])
Item = TypeVar("Item")


class Paginator(Coroutine[Any, Any, L], Generic[L, Item]):
    """A request for a list: a coroutine that returns the first page, and an async iterator.

    Iterating requests each page once the items of the previous one are used up. A second loop, or a
    second `await`, starts over with the first page.
    """

    __slots__ = ("_coroutine", "_request")

    def __init__(self, request: Callable[[], Coroutine[Any, Any, L]]) -> None:
        self._request = request
        # Created at once, so that Python warns if it is never awaited.
        self._coroutine = request()

    def __await__(self) -> Generator[Any, None, L]:
        begun = inspect.getcoroutinestate(self._coroutine) != inspect.CORO_CREATED
        return (self._request() if begun else self._coroutine).__await__()

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for item in await self:
            yield item

    if not TYPE_CHECKING:  # type checkers refuse the loop anyway

        def __iter__(self) -> NoReturn:
            msg = "A list is requested asynchronously: use `async for`, or await it for one page."
            raise TypeError(msg)

    # These make it a coroutine, for `asyncio.create_task` and `asyncio.run`.

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *exception: Any) -> Any:
        return self._coroutine.throw(*exception)

    def close(self) -> None:
        self._coroutine.close()

    def __repr__(self) -> str:
        return "<Paginator: await it, or use async for>"


def paginated(
    client: BaseClient, endpoint: Endpoint[P], params: Mapping[str, Any], **ids: object
) -> Paginator[P, Any]:
    """Request a list that comes in pages. `ids` fill in the endpoint's path.

    The parameters are sent in the query. All pages are requested with the same parameters and
    options, except for `after`.
    """
    endpoint.check(params)
    path = endpoint.path_for(ids)
    options = {name: value for name, value in params.items() if name in REQUEST_OPTIONS}
    extra_query = options.get("extra_query")
    query_values(extra_query)  # checked now, and not only when a page is requested
    query = {**query_of(params), **(extra_query or {})}

    async def request(after: str | None = None) -> P:
        place = {} if after is None else {"after": after}
        page = await client._answer(endpoint, path, None, {**options, "extra_query": query | place})
        page._next = NextPage(request, after)
        return page

    # The name in Python's warning about a coroutine that was never awaited.
    request.__name__ = request.__qualname__ = endpoint.name
    return Paginator(request)


def query_of(params: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a GET request as its query, without the options of the call.

    `None` is left out, and an object becomes one parameter for each key: `metadata[key]=value`.
    """
    query: dict[str, Any] = {}
    for name, value in params.items():
        if name in REQUEST_OPTIONS or value is None:
            continue
        if isinstance(value, Mapping):
            query |= {f"{name}[{key}]": inner for key, inner in value.items()}
        else:
            query[name] = value
    return query_values(query)
