"""`client.models`"""

from __future__ import annotations

from typing import Any

import pytest

from openai_async import AsyncClient, InvalidArgumentError, NotFoundError, PermissionDeniedError
from openai_async.testing import LocalServer

from ..raw_server import RawServer

pytestmark = pytest.mark.virtual_time


async def test_list(client: AsyncClient) -> None:
    models = await client.models.list()
    assert len(models) == len(models.data) == len(list(models))
    assert "gpt-4o" in models
    assert "gpt-0" not in models
    assert models.data[0].object == "model"
    assert models.meta.status == 200


async def test_iterating_over_the_list(client: AsyncClient, server: LocalServer) -> None:
    # https://github.com/DataDog/dd-trace-py/issues/14574
    listed = [model.id async for model in client.models.list(timeout=5)]
    assert len(server.requests) == 1
    assert listed == [model.id for model in await client.models.list()]
    assert listed == [model.id async for model in await client.models.list()]


async def test_retrieve(client: AsyncClient) -> None:
    model = await client.models.retrieve("gpt-4o")
    assert (model.id, model.owned_by) == ("gpt-4o", "system")
    with pytest.raises(NotFoundError, match="'gpt-0' does not exist"):
        await client.models.retrieve("gpt-0")


async def test_delete(client: AsyncClient) -> None:
    deleted = await client.models.delete("ft:gpt-4o-mini:local:demo:1")
    assert (deleted.id, deleted.deleted) == ("ft:gpt-4o-mini:local:demo:1", True)
    with pytest.raises(PermissionDeniedError):
        await client.models.delete("gpt-4o")


async def test_a_get_has_no_body(client: AsyncClient, server: LocalServer) -> None:
    await client.models.list(timeout=5)
    assert server.requests[0].body == b""
    assert "Content-Type" not in server.requests[0].headers


async def test_an_id_is_one_segment_of_the_path(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda e: e.whole(b'{"id": "x"}')
    await raw_client.models.retrieve("meta/llama 3?x#y/../é")
    assert raw.exchanges[0].head.startswith(
        "GET /v1/models/meta%2Fllama%203%3Fx%23y%2F..%2F%C3%A9 HTTP/1.1"
    )


async def test_an_id_with_a_slash_is_found(client: AsyncClient, server: LocalServer) -> None:
    async with LocalServer(models=["meta/llama-3"]) as other:
        model = await client.with_options(base_url=other.url).models.retrieve("meta/llama-3")
    assert model.id == "meta/llama-3"


@pytest.mark.parametrize("model", ["", " ", ".", "..", "\udc80", None, 5])
async def test_an_invalid_id_is_refused(
    client: AsyncClient, server: LocalServer, model: Any
) -> None:
    with pytest.raises(InvalidArgumentError, match="model is"):
        await client.models.retrieve(model)
    with pytest.raises(InvalidArgumentError, match="model is"):
        await client.models.delete(model)
    assert server.requests == []
