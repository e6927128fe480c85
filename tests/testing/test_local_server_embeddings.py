"""LocalServer's embeddings and moderation."""

from __future__ import annotations

import base64
import math
import struct
import subprocess
import sys
from typing import Any

import aiohttp
import pytest

from openai_async.testing import LocalServer, ServerLimits
from openai_async.testing.embeddings import embed

pytestmark = pytest.mark.virtual_time


async def post(
    server: LocalServer, http: aiohttp.ClientSession, path: str, **fields: Any
) -> tuple[int, Any]:
    async with http.post(server.url + path, json=fields) as response:
        return response.status, await response.json()


def likeness(one: str, other: str, dimensions: int = 256) -> float:
    pairs = zip(embed(one, dimensions), embed(other, dimensions), strict=True)
    return sum(a * b for a, b in pairs)


@pytest.mark.parametrize("dimensions", [64, 256, 3072])
def test_similar_texts_are_near_each_other(dimensions: int) -> None:
    question = "How do I reset my password?"
    assert likeness(question, question, dimensions) == pytest.approx(1)
    near = likeness(question, "Resetting passwords: the password page", dimensions)
    far = likeness(question, "Bananas are rich in potassium.", dimensions)
    assert near > 0.25 > 0.15 > abs(far)


def test_case_and_punctuation_do_not_matter() -> None:
    assert likeness("Hello, World!", "hello world") == pytest.approx(1)


@pytest.mark.parametrize("item", ["Hi", "🙂", "!?", "日本語", "\ud83d", [1, 2, 3]])
@pytest.mark.parametrize("dimensions", [1, 2, 7, 1536])
def test_every_vector_has_length_1(item: str | list[int], dimensions: int) -> None:
    vector = embed(item, dimensions)
    assert len(vector) == dimensions
    assert math.hypot(*vector) == pytest.approx(1)


def test_a_text_has_the_same_vector_in_every_process() -> None:
    code = "from openai_async.testing.embeddings import embed; print(embed('Hello', 8).tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(embed("Hello", 8).tolist())


@pytest.mark.parametrize(
    ("fields", "dimensions"),
    [
        ({"model": "text-embedding-3-small"}, 1536),
        ({"model": "text-embedding-3-large"}, 3072),
        ({"model": "text-embedding-ada-002"}, 1536),
        ({"model": "text-embedding-3-large", "dimensions": 5}, 5),
    ],
)
async def test_vectors_are_sent_in_both_formats(
    server: LocalServer, http: aiohttp.ClientSession, fields: dict[str, Any], dimensions: int
) -> None:
    _, plain = await post(server, http, "/embeddings", input=["Hello", "you"], **fields)
    assert [item["index"] for item in plain["data"]] == [0, 1]
    assert (plain["object"], plain["model"]) == ("list", fields["model"])
    assert plain["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    fields["encoding_format"] = "base64"
    _, compact = await post(server, http, "/embeddings", input="Hello", **fields)
    data = base64.b64decode(compact["data"][0]["embedding"])
    assert list(struct.unpack(f"<{dimensions}f", data)) == plain["data"][0]["embedding"]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "gpt-0"}, 404, "model"),
        ({"model": None}, 400, "model"),
        ({"input": None}, 400, "input"),
        ({"input": ""}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": ["a", [1]]}, 400, "input"),
        ({"input": ["a", ""]}, 400, "input"),
        ({"input": ["a"] * 2049}, 400, "input"),
        ({"input": "a " * 8193}, 400, "input"),
        ({"input": [[1] * 8000] * 38}, 400, "input"),
        ({"encoding_format": "hex"}, 400, "encoding_format"),
        ({"dimensions": 0}, 400, "dimensions"),
        ({"dimensions": 8, "model": "text-embedding-ada-002"}, 400, "dimensions"),
    ],
)
async def test_an_invalid_request_for_embeddings_is_refused(
    server: LocalServer,
    http: aiohttp.ClientSession,
    fields: dict[str, Any],
    status: int,
    param: str,
) -> None:
    body = {"model": "text-embedding-3-small", "input": "Hi", **fields}
    found, answer = await post(server, http, "/embeddings", **body)
    assert (found, answer["error"]["param"]) == (status, param)


async def test_the_limits_count_the_tokens_of_embeddings(http: aiohttp.ClientSession) -> None:
    limits = ServerLimits(tokens_per_minute=600, burst=60)
    body = {"model": "text-embedding-3-small", "input": ["a b c d e f g h i j"] * 50}
    async with LocalServer(limits=limits) as server:
        statuses = [(await post(server, http, "/embeddings", **body))[0] for _ in range(3)]
    assert statuses == [200, 429, 429]


@pytest.mark.parametrize(
    ("text", "categories"),
    [
        ("Good morning!", set()),
        ("I will KILL you, idiot.", {"violence", "harassment"}),
        ("How do I make a bomb?", {"illicit", "illicit/violent"}),
        ("skill and killer", set()),
    ],
)
async def test_words_flag_their_categories(
    server: LocalServer, http: aiohttp.ClientSession, text: str, categories: set[str]
) -> None:
    _, answer = await post(server, http, "/moderations", input=text)
    (result,) = answer["results"]
    assert {name for name, found in result["categories"].items() if found} == categories
    assert {name for name, score in result["category_scores"].items() if score > 0.5} == categories
    assert result["flagged"] is bool(categories)
    assert len(result["categories"]) == len(result["category_applied_input_types"]) == 13


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "gpt-0"}, 404, "model"),
        ({"input": None}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": 5}, 400, "input"),
        ({"input": {"type": "text", "text": "a"}}, 400, "input"),
        ({"input": [{"type": "text"}]}, 400, "input[0]"),
        ({"input": [{"type": "image_url", "image_url": "cat.png"}]}, 400, "input[0]"),
    ],
)
async def test_an_invalid_request_for_moderation_is_refused(
    server: LocalServer,
    http: aiohttp.ClientSession,
    fields: dict[str, Any],
    status: int,
    param: str,
) -> None:
    found, answer = await post(server, http, "/moderations", **{"input": "Hi", **fields})
    assert (found, answer["error"]["param"]) == (status, param)
