"""`client.chat.completions`: what the server has stored."""

from __future__ import annotations

from typing import Any

import pytest

from openai_async import AsyncClient, BadRequestError, InvalidArgumentError, NotFoundError
from openai_async.testing import LocalServer, Reply
from openai_async.types.chat import ChatCompletion

pytestmark = pytest.mark.virtual_time


async def ask(
    client: AsyncClient,
    text: str = "Hi",
    *,
    model: str = "gpt-4o",
    metadata: dict[str, str] | None = None,
    store: bool = True,
) -> ChatCompletion:
    return await client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": "Be short."}, {"role": "user", "content": text}],
        metadata=metadata,
        store=store,
    )


async def test_retrieve(client: AsyncClient) -> None:
    # With its metadata: https://github.com/openai/openai-node/issues/1818
    created = await ask(client, metadata={"user": "7"})
    stored = await client.chat.completions.retrieve(created.id)
    assert (stored.id, stored.text, stored.usage) == (created.id, created.text, created.usage)
    assert stored.metadata == {"user": "7"}
    assert stored.meta.status == 200


async def test_a_stream_is_stored_too(client: AsyncClient) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True, store=True
    )
    completion = await stream.completion()
    assert (await client.chat.completions.retrieve(completion.id)).text == completion.text


async def test_without_store_nothing_is_stored(client: AsyncClient) -> None:
    created = await ask(client, store=False)
    with pytest.raises(NotFoundError, match="store=True"):
        await client.chat.completions.retrieve(created.id)
    assert len(await client.chat.completions.list()) == 0


async def test_list_in_pages(client: AsyncClient, server: LocalServer) -> None:
    ids = [(await ask(client)).id for _ in range(5)]
    server.reset()
    completions = client.chat.completions
    assert [stored.id async for stored in completions.list(limit=2)] == ids
    assert [request.query.get("after") for request in server.requests] == [None, ids[1], ids[3]]
    newest = await completions.list(order="desc", limit=1)
    assert (newest.data[0].id, newest.has_more) == (ids[4], True)
    rest = await completions.list(after=ids[3])
    assert ([one.id for one in rest], rest.has_next_page()) == ([ids[4]], False)


async def test_list_by_model_and_metadata(client: AsyncClient, server: LocalServer) -> None:
    await ask(client, metadata={"team": "a b", "x": "1"})
    await ask(client, metadata={"team": "other"}, model="gpt-4o-mini")
    listed = client.chat.completions.list
    assert len(await listed()) == 2
    assert [one.model for one in await listed(model="gpt-4o-mini")] == ["gpt-4o-mini"]
    assert [one.metadata async for one in listed(metadata={"team": "a b"})] == [
        {"team": "a b", "x": "1"}
    ]
    assert server.requests[-1].query == {"metadata[team]": "a b"}
    assert len(await listed(metadata={"team": "a b", "x": "2"})) == 0


async def test_update_replaces_the_metadata(client: AsyncClient, server: LocalServer) -> None:
    created = await ask(client, metadata={"user": "7"})
    updated = await client.chat.completions.update(created.id, metadata={"done": "yes"})
    assert updated.metadata == {"done": "yes"}
    assert (server.requests[-1].method, server.requests[-1].json) == (
        "POST",
        {"metadata": {"done": "yes"}},
    )
    assert (await client.chat.completions.update(created.id, metadata=None)).metadata is None
    with pytest.raises(BadRequestError, match=r"'metadata\.n'"):
        await client.chat.completions.update(created.id, metadata={"n": 5})  # type: ignore[dict-item]


async def test_delete(client: AsyncClient) -> None:
    created = await ask(client)
    deleted = await client.chat.completions.delete(created.id)
    assert (deleted.id, deleted.deleted) == (created.id, True)
    with pytest.raises(NotFoundError):
        await client.chat.completions.delete(created.id)


async def test_messages(client: AsyncClient) -> None:
    created = await ask(client, "Why?")
    messages = client.chat.completions.messages
    assert [(one.role, one.content) async for one in messages.list(created.id, limit=1)] == [
        ("system", "Be short."),
        ("user", "Why?"),
    ]
    (last,) = await messages.list(created.id, order="desc", limit=1)
    assert (last.content, last.content_parts) == ("Why?", None)
    assert last.id
    with pytest.raises(NotFoundError):
        await messages.list("chatcmpl-0")


async def test_the_parts_of_a_message(client: AsyncClient) -> None:
    parts: Any = [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]
    created = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": parts}], store=True
    )
    (message,) = await client.chat.completions.messages.list(created.id)
    assert message.content_parts == parts


async def test_a_malformed_list_is_read_as_far_as_possible(
    client: AsyncClient, server: LocalServer
) -> None:
    item = {"id": "c", "choices": [{"message": {"content": "x"}}], "metadata": None}
    server.script(Reply(json={"data": [item, None], "has_more": "no", "last_id": ""}))
    page = await client.chat.completions.list()
    assert [one.text for one in page] == ["x"]
    assert not page.has_next_page()


@pytest.mark.parametrize("completion_id", ["", "..", None])
async def test_an_invalid_id_is_refused(
    client: AsyncClient, server: LocalServer, completion_id: Any
) -> None:
    completions = client.chat.completions
    with pytest.raises(InvalidArgumentError, match="completion_id is"):
        await completions.retrieve(completion_id)
    with pytest.raises(InvalidArgumentError, match="completion_id is"):
        completions.messages.list(completion_id)
    with pytest.raises(TypeError, match="'metadata'"):
        await completions.update("chatcmpl-1")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean 'order'"):
        completions.list(oder="asc")  # type: ignore[call-arg]
    assert server.requests == []
