"""Bugs that users of other libraries have reported, played against ours."""

from __future__ import annotations

import datetime
import json
from typing import Annotated, Any, Literal

import attrs
import pydantic
import pydantic.dataclasses
import pytest

from openai_async import APIResponseValidationError, AsyncClient
from openai_async.structured import schema_of
from openai_async.structured.decoding import Decoder
from openai_async.testing import LocalServer, Reply
from openai_async.types.chat_params import ChatCompletionMessageParam

from .schemas import NULL, STR, obj, ref

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


class Publisher(pydantic.BaseModel):
    name: str = pydantic.Field(description="The name")
    url: str | None = pydantic.Field(None, description="The website")


class Article(pydantic.BaseModel):
    published: datetime.datetime | None = pydantic.Field(None, description="When")
    publisher: Publisher | None = pydantic.Field(None, description="Who")


def test_defaults_are_not_sent() -> None:
    """openai/openai-python#1659, 567-labs/instructor#1074: "'default' is not permitted"."""
    when = {"anyOf": [{"type": "string", "format": "date-time"}, NULL], "description": "When"}
    who = {"anyOf": [ref("Publisher"), NULL], "description": "Who"}
    publisher = obj(
        {
            "name": {"type": "string", "description": "The name"},
            "url": {"anyOf": [STR, NULL], "description": "The website"},
        }
    )
    expected = obj({"published": when, "publisher": who}, defs={"Publisher": publisher})
    assert schema_of(Article) == expected


@attrs.define
class Paint:
    name: str
    color: Literal["Red", "Green"] | None = None


def test_a_field_with_a_default_may_be_left_out_if_asked() -> None:
    """i-am-bee/beeai-framework#588: strict mode has models make up optional fields."""
    assert schema_of(Paint)["required"] == ["name", "color"]
    assert schema_of(Paint, strict=False)["required"] == ["name"]
    assert Decoder(Paint).decode('{"name": "a"}') == Paint("a")


@attrs.define
class LinkedNode:
    name: str
    next: Annotated[LinkedNode | None, "Optional next node"]


def test_a_recursive_reference_may_be_null_and_described() -> None:
    """openai/openai-ruby#584: the schema contained itself."""
    after = {"anyOf": [{"$ref": "#"}, NULL], "description": "Optional next node"}
    schema = schema_of(LinkedNode)
    assert schema == obj({"name": STR, "next": after})
    assert json.loads(json.dumps(schema)) == schema


@pydantic.dataclasses.dataclass
class CalendarEvent:
    name: str
    participants: list[str]
    size: int = pydantic.Field(1, description="how many")


def test_dataclasses_of_pydantic() -> None:
    """openai/openai-python#1614: they were not supported."""
    schema = schema_of(CalendarEvent)
    assert list(schema["properties"]) == schema["required"] == ["name", "participants", "size"]
    event: Any = Decoder(CalendarEvent).decode(
        '{"name": "fair", "participants": ["Bob"], "size": 2}'
    )
    assert event == CalendarEvent("fair", ["Bob"], 2)


@pytest.mark.parametrize(
    "content",
    [
        '{"name": "a", "color": null',  # cut off, but with finish_reason "stop"
        '{"name": "a"' + "\n" * 1000,
        '{"name": "a", "color": "Blue"}',
    ],
)
async def test_what_the_validator_raises_does_not_reach_the_caller(
    server: LocalServer, client: AsyncClient, content: str
) -> None:
    """openai/openai-python#1763: a ValidationError of pydantic, without the completion."""
    server.script(Reply(content))
    with pytest.raises(APIResponseValidationError) as caught:
        await client.chat.completions.parse(model="gpt-4o", messages=HI, response_format=Paint)
    assert caught.value.completion is not None
    assert caught.value.completion.text == content


async def test_tools_that_are_not_strict_may_stand_beside_a_type(
    server: LocalServer, client: AsyncClient
) -> None:
    """openai/openai-python#1733: "Only `strict` function tools can be auto-parsed"."""
    weather: Any = {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
    }
    server.script(Reply('{"name": "a", "color": null}'))
    completion = await client.chat.completions.parse(
        model="gpt-4o", messages=HI, response_format=Paint, tools=[weather]
    )
    assert completion.parsed == Paint("a")
    assert server.requests[0].json["tools"] == [weather]


FENCED = '{"name": "uses ```json fences```", "color": null}'


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{FENCED}\n```",
        f"````json\n{FENCED}\n````",
        f"```JSON\r\n{FENCED}\r\n```",
        f"First run this:\n```bash\nls\n```\nand then:\n```json\n{FENCED}\n```",
        FENCED,
    ],
)
def test_code_blocks_of_any_kind(text: str) -> None:
    """vectorize-io/hindsight#2563, guardrails-ai/guardrails#1549, NVIDIA-NeMo/labs-OO-Agents#238"""
    assert Decoder(Paint).decode(text) == Paint("uses ```json fences```")


@pytest.mark.parametrize(
    "text", ["```json\n```", "```", "``````", "```json {} ```", "a ``` b ``` c"]
)
def test_code_blocks_without_json_are_misfits(text: str) -> None:
    """vectorize-io/hindsight#2542"""
    with pytest.raises(ValueError, match="it is not JSON"):
        Decoder(Paint).decode(text)
