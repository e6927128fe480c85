"""`client.embeddings`"""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import struct
import sys
from array import array
from typing import Any

import numpy
import pytest

from openai_async import (
    APIError,
    APIResponseValidationError,
    AsyncClient,
    BadRequestError,
    InvalidArgumentError,
)
from openai_async.resources import embeddings
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.types.embeddings import CreateEmbeddingResponse, Embedding

from ..raw_server import Exchange, RawServer

MODEL = "text-embedding-3-small"


def encoded(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def answer(*vectors: object, **fields: object) -> dict[str, Any]:
    data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
    usage = {"prompt_tokens": len(vectors), "total_tokens": len(vectors)}
    return {"object": "list", "data": data, "model": "m", "usage": usage, **fields}


def vectors(response: CreateEmbeddingResponse) -> list[list[float]]:
    return [item.embedding.tolist() for item in response]


# --- the happy path ---


async def test_create(client: AsyncClient, server: LocalServer) -> None:
    response = await client.embeddings.create(model=MODEL, input=["Hi", "Bye"], dimensions=8)
    assert [(item.index, len(item.embedding)) for item in response.data] == [(0, 8), (1, 8)]
    assert len(response) == 2
    assert response.usage is not None
    assert response.usage.total_tokens == 2
    assert (response.model, response.meta.status) == (MODEL, 200)
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/embeddings")
    assert request.json == {
        "encoding_format": "base64",
        "model": MODEL,
        "input": ["Hi", "Bye"],
        "dimensions": 8,
    }


async def test_a_vector_is_an_array_of_float32(client: AsyncClient, server: LocalServer) -> None:
    server.script(Reply(json=answer(encoded(0.5, -1.0))))
    response = await client.embeddings.create(model=MODEL, input="Hi")
    vector = response.data[0].embedding
    assert vector == array("f", [0.5, -1.0])
    assert memoryview(vector).format == "f"
    assert response.to_dict() == answer(encoded(0.5, -1.0))
    assert response.extra == {}
    assert repr(response.data[0]) == "Embedding(object='embedding', index=0, embedding=<2 numbers>)"
    assert pickle.loads(pickle.dumps(response)) == response


@pytest.mark.parametrize("input", ["Hi", ["Hi"], [1, 2, 3], [[1, 2, 3]], ("Hi",), [numpy.int64(5)]])
async def test_every_form_of_one_input_has_one_vector(
    client: AsyncClient, server: LocalServer, input: Any
) -> None:
    assert len(await client.embeddings.create(model=MODEL, input=input)) == 1


async def test_both_formats_have_the_same_numbers(client: AsyncClient, server: LocalServer) -> None:
    compact = await client.embeddings.create(model=MODEL, input="Hi")
    plain = await client.embeddings.create(model=MODEL, input="Hi", encoding_format="float")
    assert server.requests[1].json["encoding_format"] == "float"
    assert isinstance(plain.to_dict()["data"][0]["embedding"], list)
    assert compact.data[0].embedding == plain.data[0].embedding


async def test_numpy_shares_the_memory_of_a_vector(client: AsyncClient) -> None:
    response = await client.embeddings.create(model=MODEL, input=["Hi", "Bye"], dimensions=4)
    row = response.data[0].numpy()
    assert (str(row.dtype), row.shape) == ("float32", (4,))
    assert numpy.shares_memory(row, numpy.asarray(response.data[0].embedding))
    matrix = response.numpy()
    assert (str(matrix.dtype), matrix.shape) == ("float32", (2, 4))
    assert matrix.tolist() == vectors(response)


def test_without_numpy_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    response = CreateEmbeddingResponse.from_dict(answer([0.5]))
    for call in (response.numpy, response.data[0].numpy):
        with pytest.raises(ImportError, match="numpy is not installed: pip install numpy"):
            call()


def test_vectors_of_different_lengths_are_not_a_matrix() -> None:
    response = CreateEmbeddingResponse.from_dict(answer([0.5], [0.5, 1]))
    with pytest.raises(InvalidArgumentError, match="have 1 to 2 numbers"):
        response.numpy()
    assert CreateEmbeddingResponse().numpy().shape == (0, 0)


def test_a_vector_set_by_hand_is_a_list_in_the_json() -> None:
    item = Embedding.from_dict({"index": 0, "embedding": encoded(1.0)})
    item.embedding = array("f", [0.5])
    assert item.to_dict() == {"index": 0, "embedding": [0.5]}
    assert json.loads(Embedding(embedding=array("f", [0.5])).to_json())["embedding"] == [0.5]


# --- what servers send ---
# Each row is from a public report.


@pytest.mark.parametrize(
    "sent",
    [
        # LM Studio #756, BerriAI/litellm#42426, runpod-workers/worker-infinity-embedding#30: floats
        # although base64 was requested. The official SDK once returned a quarter of them.
        [0.5, -1.0],
        # llama.cpp: the vector in a list of its own
        [[0.5, -1.0]],
        # whole numbers
        [0.5, -1],
        # base64 with line breaks, or without padding
        encoded(0.5, -1.0)[:4] + "\n" + encoded(0.5, -1.0)[4:],
        encoded(0.5, -1.0).rstrip("="),
    ],
)
async def test_a_vector_is_read_in_every_form(
    client: AsyncClient, server: LocalServer, sent: Any
) -> None:
    server.script(Reply(json=answer(sent)))
    response = await client.embeddings.create(model=MODEL, input="Hi")
    assert vectors(response) == [[0.5, -1.0]]
    assert response.to_dict() == answer(sent)


async def test_base64_is_read_although_floats_were_requested(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply(json=answer(encoded(0.5))))
    response = await client.embeddings.create(model=MODEL, input="Hi", encoding_format="float")
    assert vectors(response) == [[0.5]]


def test_base64_is_little_endian_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """openai/openai-python#3711"""
    monkeypatch.setattr(sys, "byteorder", {"little": "big", "big": "little"}[sys.byteorder])
    swapped = Embedding.from_dict({"embedding": encoded(0.5)}).embedding
    swapped.byteswap()  # as the other kind of machine would read it
    assert swapped.tolist() == [0.5]


@pytest.mark.parametrize("broken", ["not base64!", "AAA=", [None, 0.5], ["x"], [[1], [2]], {}, 5])
async def test_a_malformed_vector_is_an_error(
    client: AsyncClient, server: LocalServer, broken: Any
) -> None:
    server.script(Reply(json=answer(broken)))
    with pytest.raises(APIResponseValidationError, match="vector|Embedding"):
        await client.embeddings.create(model=MODEL, input="Hi")


async def test_vectors_are_sorted_by_index(client: AsyncClient, server: LocalServer) -> None:
    """getzep/graphiti#1732, chroma-core/chroma#344, cocoindex-io/cocoindex#2381"""
    sent = answer([0.0], [1.0], [2.0])
    sent["data"] = [sent["data"][i] for i in (2, 0, 1)]
    server.script(Reply(json=sent))
    response = await client.embeddings.create(model=MODEL, input=["a", "b", "c"])
    assert vectors(response) == [[0.0], [1.0], [2.0]]
    assert [item.index for item in response] == [0, 1, 2]
    assert response.to_dict() == sent
    response.data[0].index = 5
    assert response.to_dict()["data"][1]["index"] == 5


@pytest.mark.parametrize("kept", [[2], [0, 0], [0, 0, 2], [1, 1, 2, 0]], ids=str)
async def test_the_json_has_the_vectors_that_are_left_in_data(
    client: AsyncClient, server: LocalServer, kept: list[int]
) -> None:
    """After a program has removed or repeated some of them, their order is that of `data`."""
    sent = answer([0.0], [1.0], [2.0])
    server.script(Reply(json={**sent, "data": sent["data"][::-1]}))
    response = await client.embeddings.create(model=MODEL, input=["a", "b", "c"])
    response.data[:] = [response.data[place] for place in kept]
    assert response.to_dict()["data"] == [sent["data"][place] for place in kept]


async def test_indexes_that_begin_again_leave_the_order_of_arrival(
    client: AsyncClient, server: LocalServer
) -> None:
    """As from a server that splits the inputs itself."""
    data = [{"index": n % 2, "embedding": [float(n)]} for n in range(4)]
    server.script(Reply(json={"data": data}))
    response = await client.embeddings.create(model="e", input=["a", "b", "c", "d"])
    assert vectors(response) == [[0.0], [1.0], [2.0], [3.0]]


@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": 0}])
async def test_without_an_index_vectors_are_in_the_order_of_arrival(
    client: AsyncClient, server: LocalServer, index: dict[str, Any]
) -> None:
    """doobidoo/mcp-memory-service#612"""
    sent = {"data": [{**index, "embedding": [float(n)]} for n in range(3)]}
    server.script(Reply(json=sent))
    response = await client.embeddings.create(model=MODEL, input=["a", "b", "c"])
    assert vectors(response) == [[0.0], [1.0], [2.0]]
    assert [item.index for item in response] == [0, 1, 2]
    assert response.to_dict() == sent


@pytest.mark.parametrize(
    "sent",
    [
        # openai/openai-python#2369, run-llama/llama_index#14492: the official SDK once raised
        # "'NoneType' object is not iterable"
        answer(data=None),
        answer(),
        # smaramwbc/statewave#225: fewer vectors than texts
        answer([0.5]),
        answer([0.5], [0.5], [0.5]),
        answer([0.5], []),
        answer([0.5], ""),
        answer([0.5], None),
        {"data": [{"index": 0, "embedding": [0.5]}, {"index": 1}]},
    ],
)
async def test_missing_vectors_are_an_error(
    client: AsyncClient, server: LocalServer, sent: dict[str, Any]
) -> None:
    server.script(Reply(json=sent))
    with pytest.raises(APIResponseValidationError, match="vectors where 2 were expected") as caught:
        await client.embeddings.create(model=MODEL, input=["a", "b"])
    assert caught.value.status_code == 200


async def test_an_error_with_status_200_is_an_error(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply(json={"error": {"message": "No provider"}, "data": None}))
    with pytest.raises(APIError, match="No provider"):
        await client.embeddings.create(model=MODEL, input="Hi")


REFUSALS = {
    # vllm-project/vllm#6174
    "vLLM": Failure(400, message="base64 encoding is not currently supported"),
    # BerriAI/litellm#42426
    "LiteLLM": Failure(500, message="Setting {'encoding_format': 'base64'} is not supported"),
    "named": Failure(400, body={"error": {"message": "Unknown.", "param": "encoding_format"}}),
    "strict": Failure(422, body={"detail": [{"loc": ["body", "encoding_format"], "msg": "extra"}]}),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_server_that_refuses_base64_is_asked_without_a_format(
    client: AsyncClient, server: LocalServer, refusal: Failure
) -> None:
    server.script(refusal)
    assert len(await client.embeddings.create(model=MODEL, input="Hi", dimensions=3)) == 1
    assert server.requests[1].json == {"model": MODEL, "input": "Hi", "dimensions": 3}


async def test_a_requested_format_is_never_omitted(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(REFUSALS["vLLM"])
    with pytest.raises(BadRequestError, match="not currently supported"):
        await client.embeddings.create(model=MODEL, input="Hi", encoding_format="base64")
    assert len(server.requests) == 1


async def test_a_failure_is_raised(client: AsyncClient, server: LocalServer) -> None:
    server.script(Failure(400, message="too long"))
    with pytest.raises(BadRequestError, match="too long"):
        await client.embeddings.create(model=MODEL, input="Hi")
    assert len(server.requests) == 1


# --- bad arguments ---


@pytest.mark.parametrize(
    ("input", "message"),
    [
        ("", "input is empty, which the API refuses: pass a text."),
        ([], "input is an empty list: pass a string, or at least one item."),
        (["a", ""], "input[1] is empty, which the API refuses: omit it."),
        ([[1], []], "input[1] is empty, which the API refuses: omit it."),
        (None, "input has type NoneType: pass a string, or a list of strings"),
        ({"a"}, "input has type set: pass a string, or a list of strings"),
        (numpy.array(["a"]), "input has type ndarray: pass a string, or a list of strings"),
        # a missing value of pandas
        (["a", float("nan")], "input[1] has type float: pass a string, or the tokens"),
        (["a", 5], "input[1] has type int: pass a string, or the tokens"),
        ([True], "input[0] has type bool: pass a string, or the tokens"),
        (["a", [1]], "input[1] and input[0] differ in kind"),
        ([["a"]], "input[0] has type list: pass a string, or the tokens"),
    ],
)
async def test_bad_input_is_refused_before_anything_is_sent(
    client: AsyncClient, server: LocalServer, input: Any, message: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await client.embeddings.create(model=MODEL, input=input)
    assert str(caught.value).startswith(message)
    assert not server.requests


async def test_a_forgotten_await_is_named(client: AsyncClient) -> None:
    async def text() -> str:
        return "Hi"

    with pytest.raises(InvalidArgumentError, match=r"input\[0\] is a coroutine: write `await text"):
        await client.embeddings.create(model=MODEL, input=[text()])  # type: ignore[arg-type]


async def test_a_mistyped_parameter_is_a_type_error(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="did you mean 'dimensions'"):
        await client.embeddings.create(model=MODEL, input="Hi", dimension=2)  # type: ignore[call-arg]


async def test_a_missing_input_is_a_type_error(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'input'"):
        await client.embeddings.create(model=MODEL)  # type: ignore[call-arg]


async def test_an_extra_body_without_input_leaves_the_input_checked(
    client: AsyncClient, server: LocalServer
) -> None:
    with pytest.raises(InvalidArgumentError, match="input is empty"):
        await client.embeddings.create(model=MODEL, input="", extra_body={"truncate": True})
    assert not server.requests


async def test_an_input_in_extra_body_has_at_least_one_vector(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply(json=answer()))
    with pytest.raises(APIResponseValidationError, match="0 vectors where at least 1 was expected"):
        await client.embeddings.create(
            model=MODEL, input="", extra_body={"input": [{"text": "Hi"}]}
        )


async def test_an_input_in_extra_body_is_sent_as_it_is(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply(json=answer([0.5], [1.0])))
    extra = {"input": [{"image": "cat.png"}, {"text": "Hi"}]}
    response = await client.embeddings.create(model=MODEL, input="", extra_body=extra)
    assert vectors(response) == [[0.5], [1.0]]
    assert server.requests[0].json["input"] == extra["input"]


# --- more than a request may have ---


async def test_many_inputs_are_split_and_joined(client: AsyncClient, server: LocalServer) -> None:
    texts = [f"text {n}" for n in range(2 * embeddings.MAX_INPUTS + 1)]
    response = await client.embeddings.create(model=MODEL, input=texts, dimensions=4)
    assert sorted(len(request.json["input"]) for request in server.requests) == [1, 2048, 2048]
    assert [item.index for item in response] == list(range(len(texts)))
    last = await client.embeddings.create(model=MODEL, input=texts[-1], dimensions=4)
    assert response.data[-1].embedding == last.data[0].embedding
    assert response.usage is not None
    assert response.usage.total_tokens == 2 * len(texts)
    joined = response.to_dict()
    assert [item["index"] for item in joined["data"]] == list(range(len(texts)))
    assert joined["usage"] == {"prompt_tokens": 2 * len(texts), "total_tokens": 2 * len(texts)}
    assert CreateEmbeddingResponse.from_dict(joined) == response


@pytest.mark.parametrize(
    ("inputs", "sizes"),
    [
        (["a" * 100_000] * 4, [3, 1]),
        (["é" * 100_000] * 2, [1, 1]),  # two bytes each, so it may be two tokens
        (["a" * 400_000, "b"], [1, 1]),  # too long, which is left to the server
        ([[1] * 150_000] * 3, [2, 1]),
        (["a" * 150_000, "a" * 150_001], [1, 1]),
        (["a" * 300_000, "b" * 150_000, "c" * 150_000], [1, 2]),
        ([*["a"] * 2048, "b" * 300_000, "c"], [2048, 1, 1]),
        (["a"] * 2048, [2048]),
    ],
)
def test_a_part_has_at_most_300_000_tokens(inputs: list[Any], sizes: list[int]) -> None:
    """spiceai/spiceai#6144, openai/openai-python#519"""
    parts = [*embeddings._parts(inputs)]
    assert [len(part) for part in parts] == sizes
    assert [item for part in parts for item in part] == inputs


def parts_of(*sizes: int) -> list[str]:
    """As many texts as there are sizes, each above half the limit: each needs its own request."""
    return [str(n) * (embeddings.MAX_TOKENS // 2 + 1) for n, _ in enumerate(sizes)]


def number(exchange: Exchange) -> int:
    return int(json.loads(exchange.body)["input"][0][0])


async def test_parts_are_joined_in_the_order_of_the_inputs(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Whichever is answered first, and without an index, too; `meta` is that of the last answer."""
    answered = [asyncio.Event() for _ in range(3)]
    after = {0: 2, 1: 0}  # answered in the order 2, 0, 1

    async def reply(exchange: Exchange) -> None:
        n = number(exchange)
        if n in after:
            await answered[after[n]].wait()
        sent = {"data": [{"embedding": [float(n)]}], "usage": {"total_tokens": n + 1, "cost": 0.5}}
        body = json.dumps(sent).encode()
        head = f"HTTP/1.1 200 OK\r\nx-request-id: r{n}\r\nContent-Length: {len(body)}\r\n\r\n"
        await exchange.send(head.encode() + body)
        answered[n].set()

    raw.answer = reply
    response = await raw_client.embeddings.create(model=MODEL, input=parts_of(1, 1, 1))
    assert vectors(response) == [[0.0], [1.0], [2.0]]
    assert [item.index for item in response] == [0, 1, 2]
    assert response.meta.request_id == "r1"
    assert response.usage is not None
    assert response.usage.to_dict() == {"total_tokens": 6, "cost": 1.5}
    for again in (response, pickle.loads(pickle.dumps(response))):
        sent = again.to_dict()["data"]
        assert [item["embedding"] for item in sent] == [[0.0], [1.0], [2.0]]


async def test_the_usage_of_only_some_parts_is_not_that_of_all(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def reply(exchange: Exchange) -> None:
        usage = {"total_tokens": 1} if number(exchange) else None
        await exchange.whole(json.dumps(answer([0.5], usage=usage)).encode())

    raw.answer = reply
    response = await raw_client.embeddings.create(model=MODEL, input=parts_of(1, 1, 1))
    assert response.usage is None
    assert response.to_dict()["usage"] is None


async def test_what_only_one_part_reports_is_in_the_usage_of_all(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    reported = [{"total_tokens": 1, "time": 0.25}, {"total_tokens": 2, "cost": 0.5}]

    async def reply(exchange: Exchange) -> None:
        usage = reported[number(exchange)]
        await exchange.whole(json.dumps(answer([0.5], usage=usage)).encode())

    raw.answer = reply
    response = await raw_client.embeddings.create(model=MODEL, input=parts_of(1, 1))
    assert response.usage is not None
    assert response.usage.to_dict() == {"total_tokens": 3, "time": 0.25, "cost": 0.5}


async def test_four_parts_are_in_flight_at_most(raw: RawServer, raw_client: AsyncClient) -> None:
    in_flight = most = 0
    full = asyncio.Event()

    async def reply(exchange: Exchange) -> None:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        if in_flight == embeddings.CONCURRENT:
            full.set()
        await full.wait()
        in_flight -= 1
        await exchange.whole(json.dumps(answer([0.5])).encode())

    raw.answer = reply
    response = await raw_client.embeddings.create(model=MODEL, input=parts_of(*range(9)))
    assert (len(response), most) == (9, embeddings.CONCURRENT)


async def test_one_failing_part_fails_the_call_and_cancels_the_others(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(delay=3600), Failure(400, message="too long"))
    with pytest.raises(BadRequestError, match="too long") as caught:
        await client.embeddings.create(model=MODEL, input=parts_of(1, 1))
    place = int(server.requests[1].json["input"][0][0])
    assert caught.value.__notes__ == [f"This was the request for input[{place}:{place + 1}]."]
    assert not isinstance(caught.value.__context__, BaseExceptionGroup)
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_cancelling_the_call_cancels_its_parts(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(delay=3600), times=2)
    call = asyncio.create_task(client.embeddings.create(model=MODEL, input=parts_of(1, 1)))
    await server.received(2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    for request in server.requests:
        await request.finished()
        assert request.disconnected
