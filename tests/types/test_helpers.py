"""What every reader needs of an answer is there without `None`, whatever the server left out."""

from __future__ import annotations

from typing import Any

import pytest

from openai_async import BadRequestError, StreamInterruptedError
from openai_async.types.chat import ChatCompletion, ParsedChatCompletion
from openai_async.types.embeddings import CreateEmbeddingResponse

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def completion(*messages: dict[str, Any], **fields: Any) -> ChatCompletion:
    choices = [{"index": n, "message": message} for n, message in enumerate(messages)]
    return ChatCompletion.from_dict({"choices": choices, **fields})


def test_the_message_and_the_tool_calls_are_those_of_the_first_choice() -> None:
    answer = completion({"content": "a", "tool_calls": [CALL]}, {"content": "b"})
    assert answer.message is answer.choices[0].message
    assert answer.tool_calls is answer.choices[0].message.tool_calls
    assert [call.id for call in answer.tool_calls] == ["c"]


@pytest.mark.parametrize("answer", [ChatCompletion(), completion({"content": None})], ids=str)
def test_what_is_missing_is_empty(answer: ChatCompletion) -> None:
    assert (answer.text, answer.message.content, answer.tool_calls) == ("", None, [])
    assert answer.total_tokens == 0


def test_the_message_of_a_parsed_completion_is_a_parsed_one() -> None:
    empty = ParsedChatCompletion[int]()
    assert (empty.parsed, empty.message.parsed, empty.tool_calls) == (None, None, [])


def test_the_tokens_are_those_of_the_usage() -> None:
    assert completion({}, usage={"total_tokens": 21}).total_tokens == 21
    embeddings = CreateEmbeddingResponse.from_dict({"data": [], "usage": {"total_tokens": 8}})
    assert embeddings.total_tokens == 8
    assert CreateEmbeddingResponse().total_tokens == 0


def test_the_text_before_an_error_is_empty_if_there_is_none() -> None:
    error = StreamInterruptedError("Cut.")
    assert (error.partial_text, BadRequestError("Bad.").partial_text) == ("", "")
    error.partial = completion({"content": "Once"})
    assert error.partial_text == "Once"
