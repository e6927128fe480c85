"""Answers in pydantic models, as what FastAPI's routes return is: official answers are such models
themselves.
"""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from openai_async.types.chat import ChatCompletion, ChatCompletionMessage

MESSAGE: dict[str, Any] = {"role": "assistant", "content": "Hi", "reasoning_content": "hm"}
COMPLETION: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
}


class Record(pydantic.BaseModel):
    completion: ChatCompletion
    messages: list[ChatCompletionMessage] = []


def test_an_answer_is_a_field_as_it_is() -> None:
    completion = ChatCompletion.from_dict(COMPLETION)
    assert Record(completion=completion).completion is completion


def test_a_field_is_dumped_as_the_answer_is() -> None:
    message = ChatCompletionMessage.from_dict(MESSAGE)
    record = Record(completion=ChatCompletion.from_dict(COMPLETION), messages=[message])
    assert record.model_dump()["messages"] == [message.model_dump()]
    assert record.model_dump()["completion"]["choices"][0]["message"] == message.model_dump()


def test_a_field_is_read_from_json() -> None:
    record = Record(completion=ChatCompletion.from_dict(COMPLETION))
    assert Record.model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize("value", [5, {**COMPLETION, "choices": 5}], ids=["number", "choices"])
def test_a_value_of_the_wrong_shape_is_a_validation_error(value: object) -> None:
    with pytest.raises(pydantic.ValidationError):
        Record.model_validate({"completion": value})


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_in_a_json_schema_a_field_is_an_object(mode: Any) -> None:
    schema = Record.model_json_schema(mode=mode)["properties"]
    assert schema["completion"]["type"] == "object"
    assert schema["messages"]["items"]["type"] == "object"
