"""The frameworks that `.ci/run` does not install; `pytest -rs` names those that were skipped.

They cannot all be installed in one environment: see docs/frameworks.md.
"""

from importlib.util import find_spec
from typing import Any

import pytest

from openai_async.testing import LocalServer, Reply

from .cities import ABOUT_WEATHER, QUESTION, City, get_weather
from .conftest import Lines

# These warnings are about their own code. A ResourceWarning would be ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

ASKED: list[Any] = [{"role": "user", "content": ABOUT_WEATHER}]
OSLO = '{"name": "Oslo", "country": "Norway"}'


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


@needs("instructor")
async def test_instructor(lines: Lines, server: LocalServer) -> None:
    made = lines("instructor")["patched"]
    asked = {"model": "gpt-4o", "response_model": City, "messages": ASKED}
    assert isinstance(await made.create(**asked), City)
    pieces = [piece async for piece in made.create_partial(**asked)]
    assert len(pieces) > 3
    tasks = {"name": "IterableCity", "arguments": f'{{"tasks": [{OSLO}, {OSLO}]}}'}
    server.script(Reply(tool_calls=[tasks]))
    cities = [city async for city in made.create_iterable(**asked)]
    assert cities == [City(name="Oslo", country="Norway")] * 2


@needs("semantic_kernel")
async def test_semantic_kernel(lines: Lines, server: LocalServer) -> None:
    from semantic_kernel import Kernel
    from semantic_kernel.connectors.ai import FunctionChoiceBehavior
    from semantic_kernel.connectors.ai.open_ai import OpenAIChatPromptExecutionSettings
    from semantic_kernel.contents import ChatHistory
    from semantic_kernel.functions import kernel_function

    service = lines("semantic-kernel")["service"]
    history = ChatHistory()
    history.add_user_message(ABOUT_WEATHER)
    settings = OpenAIChatPromptExecutionSettings()
    assert ABOUT_WEATHER in str(await service.get_chat_message_content(history, settings))
    stream = service.get_streaming_chat_message_content(history, settings)
    pieces = [str(piece) async for piece in stream]
    assert len(pieces) > 3
    assert ABOUT_WEATHER in "".join(pieces)

    kernel = Kernel()
    kernel.add_function("plugin", kernel_function(get_weather))
    settings.function_choice_behavior = FunctionChoiceBehavior.Auto()
    call = {"name": "plugin-get_weather", "arguments": {"city": "Oslo"}}
    server.script(Reply(tool_calls=[call]))
    answer = await service.get_chat_message_content(history, settings, kernel=kernel)
    assert "4 degrees in Oslo" in str(answer)


@needs("haystack")
async def test_haystack(lines: Lines) -> None:
    from haystack.dataclasses import ChatMessage
    from haystack.tools import create_tool_from_function

    generator = lines("haystack-ai")["generator"]
    asked = [ChatMessage.from_user(ABOUT_WEATHER)]
    assert ABOUT_WEATHER in (await generator.run_async(asked))["replies"][0].text
    pieces = []

    async def collect(chunk: Any) -> None:
        pieces.append(chunk.content)

    await generator.run_async(asked, streaming_callback=collect)
    assert len(pieces) > 3
    assert ABOUT_WEATHER in "".join(pieces)
    tools = [create_tool_from_function(get_weather)]
    (call,) = (await generator.run_async(asked, tools=tools))["replies"][0].tool_calls
    assert (call.tool_name, call.arguments) == ("get_weather", {"city": "Oslo"})


@needs("autogen_agentchat")
async def test_autogen(lines: Lines) -> None:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_core.models import UserMessage

    model = lines("autogen-ext")["model"]
    asked = [UserMessage(content=QUESTION, source="user")]
    assert QUESTION in (await model.create(asked)).content
    *pieces, whole = [piece async for piece in model.create_stream(asked)]
    assert len(pieces) > 3
    assert "".join(pieces) == whole.content
    assert City.model_validate_json((await model.create(asked, json_output=City)).content)
    agent = AssistantAgent("a", model_client=model, tools=[get_weather], reflect_on_tool_use=True)
    result = await agent.run(task=ABOUT_WEATHER)
    assert "4 degrees in Oslo" in result.messages[-1].content


@needs("magentic")
async def test_magentic(lines: Lines) -> None:
    import magentic

    model = lines("magentic")["model"]

    def asking(returned: Any, **options: Any) -> Any:
        async def ask() -> Any: ...

        ask.__annotations__["return"] = returned
        return magentic.prompt(ABOUT_WEATHER, model=model, **options)(ask)

    assert ABOUT_WEATHER in await asking(str)()
    pieces = [piece async for piece in await asking(magentic.AsyncStreamedStr)()]
    assert len(pieces) > 3
    assert isinstance(await asking(City)(), City)
    call = await asking(magentic.FunctionCall[str], functions=[get_weather])()
    assert call() == "4 degrees in Oslo"


@needs("litellm")
async def test_litellm(lines: Lines, server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import litellm

    monkeypatch.setattr(litellm, "aclient_session", None)
    official = lines("litellm")["official"]
    asked = {"model": "openai/gpt-4o", "messages": ASKED}
    for options in ({}, {"client": official}):
        answer = await litellm.acompletion(**asked, **options)
        assert ABOUT_WEATHER in answer.choices[0].message.content
        stream = await litellm.acompletion(**asked, **options, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert len(pieces) > 3
        assert ABOUT_WEATHER in "".join(pieces)


@needs("llama_index")
async def test_llama_index(lines: Lines) -> None:
    from llama_index.core import PromptTemplate
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool

    llm = lines("llama-index")["llm"]
    assert QUESTION in (await llm.acomplete(QUESTION)).text
    stream = await llm.astream_chat([ChatMessage(QUESTION)])
    pieces = [piece.delta async for piece in stream]
    assert len(pieces) > 3
    assert QUESTION in "".join(pieces)
    tool = FunctionTool.from_defaults(get_weather)
    answer = await llm.achat_with_tools([tool], ABOUT_WEATHER)
    (call,) = llm.get_tool_calls_from_response(answer)
    assert (call.tool_name, call.tool_kwargs) == ("get_weather", {"city": "Oslo"})
    assert isinstance(await llm.astructured_predict(City, PromptTemplate("Oslo")), City)
