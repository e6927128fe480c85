"""A forgotten `await` in front of `image_part(...)` is named, before anything is sent."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

import pytest

from openai_async import AsyncClient, InvalidArgumentError, image_part
from openai_async.testing import LocalServer

pytestmark = pytest.mark.virtual_time


def part() -> Coroutine[Any, Any, Any]:
    return image_part("cat.png")


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "What is this?"}, *content]}


async def refused(client: AsyncClient, stream: bool, **params: Any) -> str:
    params = {"model": "m", "messages": [user()]} | params
    with pytest.raises(InvalidArgumentError) as caught:
        await client.chat.completions.create(stream=stream, **params)
    gc.collect()  # a coroutine that was left would warn here, and fail the test
    return str(caught.value)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_place_of_a_forgotten_await_is_named(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    message = await refused(client, stream, messages=[user(part(), part())])
    assert message == "messages[0].content[1] is a coroutine: write `await image_part(...)`."
    assert server.requests == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_forgotten_await_is_found_at_any_depth(client: AsyncClient, stream: bool) -> None:
    image = user({"type": "image_url", "image_url": {"url": part()}})
    assert "messages[0].content[1].image_url.url is a cor" in await refused(
        client, stream, messages=(image,)
    )
    assert "extra is a coroutine" in await refused(client, stream, extra_body={"extra": part()})


@pytest.mark.parametrize("beside", ["\ud800", {5: -100}])
async def test_other_oddities_of_the_request_do_not_hide_it(
    client: AsyncClient, beside: Any
) -> None:
    assert "content[2] is a coroutine" in await refused(
        client, False, messages=[user(beside, part())]
    )


async def test_a_task_keeps_running(client: AsyncClient) -> None:
    task = asyncio.create_task(asyncio.sleep(1, {"type": "text", "text": "late"}))
    message = await refused(client, False, messages=[user(task)])
    assert message == "messages[0].content[1] is a Task: await it first."
    assert await task


async def test_a_self_referencing_request_is_searched_once(client: AsyncClient) -> None:
    content: list[Any] = []
    content += [content, content, part()]
    message = await refused(client, False, messages=[{"role": "user", "content": content}])
    assert "messages[0].content[2] is a coroutine" in message


async def test_other_values_that_are_not_json_are_still_refused(client: AsyncClient) -> None:
    assert "has type object, which cannot be written as JSON" in await refused(
        client, False, messages=[user(object())]
    )


async def test_a_raw_request_names_it_too(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match=r"input\[0\] is a coroutine"):
        await client.request("POST", "/embeddings", json={"input": [part()]})
    gc.collect()
