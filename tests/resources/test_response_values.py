"""`parse(to=...)`: the body of a response as another type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, assert_type

import attrs
import pytest

from openai_async import APIResponseValidationError, AsyncClient, OpenAIError
from openai_async.resources.raw_responses import RawResponse
from openai_async.resources.streaming_responses import StreamingResponse
from openai_async.types import Model

from ..raw_server import DONE, Exchange, RawServer, chunk
from ..typing import checkers

pytestmark = pytest.mark.virtual_time


@attrs.define
class Owner:
    name: str


@attrs.define
class Priced:
    id: str
    price: float
    owners: list[Owner]


class Named(TypedDict):
    id: str


BODY = b'{"id": "m", "object": "model", "price": 0.5, "owners": [{"name": "a"}]}'
TYPES: list[tuple[Any, object]] = [
    (Priced, Priced("m", 0.5, [Owner("a")])),
    (Named, {"id": "m"}),
    (dict[str, object], {"id": "m", "object": "model", "price": 0.5, "owners": [{"name": "a"}]}),
    (int | Priced, Priced("m", 0.5, [Owner("a")])),
    (str, BODY.decode()),
]


def answering(body: bytes) -> Callable[[Exchange], Any]:
    return lambda exchange: exchange.whole(body)


@pytest.mark.parametrize(("kind", "value"), TYPES, ids=["class", "dict", "map", "union", "text"])
async def test_the_body_is_read_as_the_type(
    raw: RawServer, raw_client: AsyncClient, kind: Any, value: object
) -> None:
    raw.answer = answering(BODY)
    response = await raw_client.models.with_raw_response.retrieve("m")
    assert response.parse(to=kind) == value
    async with raw_client.models.with_streaming_response.retrieve("m") as streaming:
        assert await streaming.parse(to=kind) == value
        assert (await streaming.parse()).id == "m"


async def test_an_answer_of_another_endpoint_is_a_whole_one(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering(BODY)
    response = await raw_client.files.with_raw_response.retrieve("f")
    model = response.parse(to=Model)
    assert (model.id, model.extra["price"], model.meta.status) == ("m", 0.5, 200)


async def test_an_answer_that_the_method_refuses_can_be_read(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering(b"[1, 2]")
    response = await raw_client.models.with_raw_response.retrieve("m")
    with pytest.raises(APIResponseValidationError):
        response.parse()
    assert response.parse(to=list[int]) == [1, 2]


async def test_the_error_says_what_does_not_fit_and_hides_the_key(raw: RawServer) -> None:
    raw.answer = answering(b'{"id": "k-0123456789", "price": "k-0123456789", "owners": [{}]}')
    async with AsyncClient(base_url=raw.url, api_key="k-0123456789") as client:
        response = await client.models.with_raw_response.retrieve("m")
        with pytest.raises(APIResponseValidationError) as caught:
            response.parse(to=Priced)
    assert "does not match Priced: price: expected float" in caught.value.message
    assert "owners[0].name: it is missing" in caught.value.message
    assert caught.value.status_code == 200
    assert "0123456789" not in f"{caught.value} {caught.value.body} {caught.value.__cause__!r}"


async def test_text_that_is_not_json_is_an_error(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering(b"<html>")
    response = await raw_client.models.with_raw_response.retrieve("m")
    with pytest.raises(APIResponseValidationError, match="it is not JSON"):
        response.parse(to=Priced)


async def test_a_stream_is_not_a_value(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.stream(chunk("Hi"), chunk(finish="stop"), DONE)
    response = await raw_client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    with pytest.raises(OpenAIError, match="is a stream"):
        response.parse(to=dict)
    await response.parse().close()


async def types(response: RawResponse[Model], streaming: StreamingResponse[Model]) -> None:
    assert_type(response.parse(), Model)
    assert_type(response.parse(to=Priced), Priced)
    assert_type(response.parse(to=int | Priced), int | Priced)
    assert_type(await streaming.parse(to=list[Owner]), list[Owner])
    assert_type(await streaming.parse(), Model)


def test_mypy_agrees() -> None:
    assert checkers.mypy(__file__) == ""
