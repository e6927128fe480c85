"""langchain-openai on our transport."""

from typing import Any

import pytest

from openai_async.testing import LocalServer

from .cities import ABOUT_WEATHER, QUESTION, City, get_weather
from .conftest import Lines

pytest.importorskip("langchain_openai")


@pytest.fixture
def model(lines: Lines) -> Any:
    return lines("langchain-openai")["model"]


async def test_a_model_answers(model: Any) -> None:
    assert QUESTION in (await model.ainvoke(QUESTION)).content


async def test_a_model_streams(model: Any) -> None:
    pieces = [chunk.content async for chunk in model.astream(QUESTION)]
    assert len(pieces) > 3
    assert QUESTION in "".join(pieces)


async def test_a_model_calls_tools(model: Any) -> None:
    bound = model.bind_tools([get_weather])
    asked = await bound.ainvoke(ABOUT_WEATHER)
    (call,) = asked.tool_calls
    told = {"role": "tool", "tool_call_id": call["id"], "content": get_weather(**call["args"])}
    answer = await bound.ainvoke([("user", ABOUT_WEATHER), asked, told])
    assert "4 degrees in Oslo" in answer.content


async def test_a_model_fills_a_type(model: Any) -> None:
    assert isinstance(await model.with_structured_output(City).ainvoke("Oslo"), City)


async def test_texts_are_embedded(lines: Lines, server: LocalServer) -> None:
    embeddings = lines("langchain-openai")["embeddings"]
    embeddings.check_embedding_ctx_length = False  # else it fetches a tokenizer
    assert len(await embeddings.aembed_documents(["one", "two"])) == 2
    assert server.requests[-1].path == "/v1/embeddings"
