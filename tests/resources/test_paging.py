"""Lists that come in pages: `await` for one page, `async for` for all items."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
from typing import Any, Unpack

import pytest
from attrs import define, field

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
    InternalServerError,
    InvalidArgumentError,
    OpenAIError,
)
from openai_async.options import BaseRequestOptions
from openai_async.resources.endpoint import Endpoint
from openai_async.resources.paging import Paginator, paginated
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.types.base import APIObject, note_change
from openai_async.types.pages import Page

pytestmark = pytest.mark.virtual_time


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Thing(APIObject):
    id: str = ""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ThingPage(Page[Thing]):
    data: list[Thing] = field(factory=list, metadata={"essential": True})


class ThingListParams(BaseRequestOptions, total=False):
    after: str | None
    limit: int | None
    metadata: dict[str, str] | None


LIST = Endpoint("list", "GET", "/models", ThingListParams, ThingPage)


def things(client: AsyncClient, **params: Unpack[ThingListParams]) -> Paginator[ThingPage, Thing]:
    return paginated(client, LIST, params)


def page(ids: str, more: bool = True, **fields: Any) -> Reply:
    """A page with an item for each letter."""
    data = [{"id": letter} for letter in ids]
    return Reply(json={"object": "list", "data": data, "has_more": more, **fields})


def cursors(server: LocalServer) -> list[str | None]:
    return [request.query.get("after") for request in server.requests]


async def test_awaiting_returns_the_first_page(client: AsyncClient, server: LocalServer) -> None:
    server.script(page("ab", first_id="a", last_id="b"))
    first = await things(client, limit=2)
    assert [thing.id for thing in first] == ["a", "b"]
    assert (len(first), first.has_more, first.first_id, first.last_id) == (2, True, "a", "b")
    assert first.has_next_page()
    assert first.meta.status == 200
    assert server.requests[0].query == {"limit": "2"}


async def test_iterating_yields_the_items_of_all_pages(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(page("ab", last_id="b"), page("cd", last_id="d"), page("e", more=False))
    assert "".join([thing.id async for thing in things(client)]) == "abcde"
    assert cursors(server) == [None, "b", "d"]


async def test_a_page_is_requested_when_it_is_needed(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(page("ab"), page("c", more=False))
    seen = []
    async for thing in things(client):
        seen.append((thing.id, len(server.requests)))
    assert seen == [("a", 1), ("b", 1), ("c", 2)]


async def test_leaving_the_loop_requests_no_more(client: AsyncClient, server: LocalServer) -> None:
    server.script(page("ab"), page("c", more=False))
    async for _ in things(client):
        break
    assert (len(server.requests), server.pending) == (1, 1)


async def test_pages_one_by_one(client: AsyncClient, server: LocalServer) -> None:
    server.script(page("ab"), page("c", more=False))
    first = await things(client)
    second = await first.next_page()
    assert second is not None
    assert [thing.id for thing in second] == ["c"]
    assert not second.has_next_page()
    assert await second.next_page() is None
    assert await second.get_next_page() is None
    server.script(page("c", more=False), page("c", more=False))
    assert len([page async for page in first.iter_pages()]) == 2
    assert "".join([thing.id async for thing in first]) == "abc"


async def test_a_second_loop_starts_over(client: AsyncClient, server: LocalServer) -> None:
    server.script(page("a", more=False), page("b", more=False), page("c", more=False))
    listed = things(client)
    assert [[thing.id async for thing in listed] for _ in range(2)] == [["a"], ["b"]]
    assert [thing.id for thing in await listed] == ["c"]


async def test_without_last_id_the_last_item_is_the_cursor(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(page("ab"), page("c", last_id=None), page("d", more=False))
    assert len([thing async for thing in things(client)]) == 4
    assert cursors(server) == [None, "b", "c"]


@pytest.mark.parametrize(
    "last",
    [
        page("a", more=False),
        Reply(json={"data": [{"id": "a"}]}),
        Reply(json={"data": [{"id": "a"}], "has_more": None}),
        page(""),
        Reply(json={"data": None, "has_more": True}),
    ],
    ids=["has_more is false", "no has_more", "has_more is null", "empty", "no data"],
)
async def test_the_end(client: AsyncClient, server: LocalServer, last: Reply) -> None:
    server.script(last)
    first = await things(client)
    assert not first.has_next_page()
    assert await first.next_page() is None
    assert len(server.requests) == 1


async def test_an_empty_page_in_the_middle_does_not_end_the_list(
    client: AsyncClient, server: LocalServer
) -> None:
    # https://github.com/openai/openai-python/pull/3915
    server.script(page("a"), page("", last_id="g"), page("h", more=False))
    assert "".join([thing.id async for thing in things(client)]) == "ah"
    assert cursors(server) == [None, "a", "g"]


async def test_an_empty_page_that_leads_nowhere_is_the_end(
    client: AsyncClient, server: LocalServer
) -> None:
    # https://github.com/Glitchedpixel-io/media-api/issues/66
    server.script(page("a"), page("", last_id="a"))
    assert len([thing async for thing in things(client)]) == 1
    assert len(server.requests) == 2


async def test_a_server_that_ignores_the_cursor_is_an_error_not_an_endless_loop(
    client: AsyncClient, server: LocalServer
) -> None:
    # https://github.com/BerriAI/litellm/issues/36324
    server.script(page("ab"), times=3)
    seen = []
    with pytest.raises(APIResponseValidationError, match="the server ignores after") as caught:
        async for thing in things(client):
            seen.append(thing.id)
    assert seen == ["a", "b"]  # none of them twice
    assert len(server.requests) == 2
    assert caught.value.request_id


async def test_the_page_after_a_page_can_be_requested_twice(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(page("ab"), page("cd"), page("cd"))
    first = await things(client)
    for _ in range(2):
        following = await first.next_page()
        assert following is not None
        assert [thing.id for thing in following] == ["c", "d"]


async def test_a_server_that_goes_in_circles_is_an_error_not_an_endless_loop(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(*[page("ab"), page("cd")] * 3)
    seen = []
    with pytest.raises(APIResponseValidationError, match="the server ignores after"):
        async for thing in things(client):
            seen.append(thing.id)
    assert seen == ["a", "b", "c", "d"]


async def test_more_items_without_a_cursor_are_not_silently_lost(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply(json={"data": [{"name": "x"}], "has_more": True}))
    with pytest.raises(APIResponseValidationError, match="neither last_id nor"):
        await (await things(client)).next_page()


async def test_every_page_has_the_parameters_and_options_of_the_call(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(page("a"), Failure(500), page("b"), page("c", more=False))
    listed = things(
        client,
        limit=1,
        after="0",
        metadata={"team": "a b", "x": "1"},
        extra_headers={"X-Job": "7"},
        extra_query={"after": "0", "beta": True},
        max_retries=1,
    )
    assert len([thing async for thing in listed]) == 3
    assert cursors(server) == ["0", "a", "a", "b"]
    for request in server.requests:
        assert request.headers["X-Job"] == "7"
        assert request.query == {
            "limit": "1",
            "metadata[team]": "a b",
            "metadata[x]": "1",
            "beta": "true",
            "after": request.query["after"],
        }


async def test_parameters_that_are_none_are_not_in_the_query(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(page("a", more=False))
    await things(client, limit=None, after=None, metadata=None)
    assert server.requests[0].query == {}


async def test_a_failed_page_can_be_requested_again(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(page("a"), Failure(500), page("b", more=False))
    first = await things(client)
    with pytest.raises(InternalServerError):
        await first.next_page()
    again = await first.next_page()
    assert again is not None
    assert again.data[0].id == "b"


async def test_invalid_arguments_are_refused_when_the_list_is_made(
    client: AsyncClient, server: LocalServer
) -> None:
    with pytest.raises(TypeError, match="did you mean 'after'"):
        things(client, aftr="x")  # type: ignore[call-arg]
    with pytest.raises(InvalidArgumentError, match="'limit' has type list"):
        things(client, limit=[1])  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match=r"'metadata\[a\]' has type NoneType"):
        things(client, metadata={"a": None})  # type: ignore[dict-item]
    assert server.requests == []


async def test_a_page_is_pickled_without_its_client(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(page("ab"), page("c", more=False), page("c", more=False))
    first = await things(client)
    loaded = pickle.loads(pickle.dumps(first))
    assert (loaded, loaded.to_dict()) == (first, first.to_dict())
    with pytest.raises(OpenAIError, match="no client to request the next page"):
        await loaded.next_page()
    for copied in (copy.copy(first), copy.deepcopy(first)):
        assert len(await copied.next_page() or ()) == 1


async def test_a_list_is_a_coroutine(client: AsyncClient, server: LocalServer) -> None:
    server.script(page("a", more=False), times=3)
    assert len(await asyncio.create_task(things(client))) == 1
    assert len(await asyncio.wait_for(things(client), 5)) == 1
    (gathered,) = await asyncio.gather(things(client))
    assert len(gathered) == 1
    things(client).close()
    listed = things(client)
    assert repr(listed) == "<Paginator: await it, or use async for>"
    listed.close()


async def test_cancelling_the_task_of_a_list_ends_its_request(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(delay=60))
    task = asyncio.create_task(things(client))
    request = await server.received()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await request.finished()
    assert request.disconnected


async def test_a_plain_loop_says_how_to_write_it(client: AsyncClient) -> None:
    pages: Any = things(client)
    with pytest.raises(TypeError, match="use `async for`, or await it for one page"):
        list(pages)
    pages.close()


async def test_python_warns_about_a_list_that_is_never_awaited(client: AsyncClient) -> None:
    async def forget() -> None:
        things(client)
        gc.collect()

    with pytest.warns(RuntimeWarning, match="coroutine 'list' was never awaited"):
        await forget()
