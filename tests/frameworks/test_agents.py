"""openai-agents on our transport."""

from typing import Any

import pytest

from openai_async.testing import LocalServer, Reply

from .cities import ABOUT_WEATHER, QUESTION, City, get_weather
from .conftest import Lines

agents = pytest.importorskip("agents")


@pytest.fixture
def model(lines: Lines) -> Any:
    agents.set_tracing_disabled(True)
    return lines("openai-agents")["model"]


async def test_an_agent_answers(model: Any) -> None:
    result = await agents.Runner.run(agents.Agent(name="A", model=model), QUESTION)
    assert QUESTION in result.final_output


async def test_an_agent_streams(model: Any) -> None:
    result = agents.Runner.run_streamed(agents.Agent(name="A", model=model), QUESTION)
    pieces = [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    assert len(pieces) > 3
    assert "".join(pieces) == result.final_output


async def test_an_agent_calls_tools(model: Any, server: LocalServer) -> None:
    agent = agents.Agent(name="A", model=model, tools=[agents.function_tool(get_weather)])
    result = await agents.Runner.run(agent, ABOUT_WEATHER)
    assert "4 degrees in Oslo" in result.final_output
    assert len(server.requests) == 2


async def test_an_agent_fills_a_type(model: Any) -> None:
    agent = agents.Agent(name="A", model=model, output_type=City)
    result = await agents.Runner.run(agent, "Oslo")
    assert isinstance(result.final_output, City)


async def test_an_agent_uses_the_responses_api(model: Any, server: LocalServer) -> None:
    text = {"type": "output_text", "text": "Hello!", "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    answer = {"id": "resp_1", "object": "response", "created_at": 0, "model": "m"}
    server.script(Reply(json={**answer, "output": [{**message, "content": [text]}]}))
    result = await agents.Runner.run(agents.Agent(name="A"), QUESTION)
    assert result.final_output == "Hello!"
    assert server.requests[-1].path == "/v1/responses"
