"""pydantic-ai on our transport."""

from typing import Any

import pytest

from openai_async.testing import Failure, LocalServer

from .cities import ABOUT_WEATHER, QUESTION, City, get_weather
from .conftest import Lines

pydantic_ai = pytest.importorskip("pydantic_ai")


@pytest.fixture
def model(lines: Lines) -> Any:
    return lines("pydantic-ai")["model"]


async def test_an_agent_answers(model: Any) -> None:
    result = await pydantic_ai.Agent(model).run(QUESTION)
    assert QUESTION in result.output


async def test_an_agent_streams(model: Any) -> None:
    async with pydantic_ai.Agent(model).run_stream(QUESTION) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 3
    assert QUESTION in "".join(pieces)


async def test_an_agent_calls_tools(model: Any, server: LocalServer) -> None:
    result = await pydantic_ai.Agent(model, tools=[get_weather]).run(ABOUT_WEATHER)
    assert "4 degrees in Oslo" in result.output
    assert len(server.requests) == 2


async def test_an_agent_fills_a_type(model: Any) -> None:
    result = await pydantic_ai.Agent(model, output_type=City).run("Oslo")
    assert isinstance(result.output, City)


async def test_a_stream_that_is_cut_off_is_an_error(model: Any, server: LocalServer) -> None:
    server.script(Failure(cut_after=3))
    with pytest.raises(pydantic_ai.exceptions.ModelAPIError, match="cut off"):
        async with pydantic_ai.Agent(model).run_stream(QUESTION) as result:
            await result.get_output()
