"""Rows of tables as lines of a batch: which column a mapping takes each part from."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openai_async import InvalidArgumentError
from openai_async.batch.engines.ray.columns import RowMapping

CHAT = "/v1/chat/completions"
PROMPTS = {"prompt": "text", "model": "m"}


def made(columns: dict[str, str] | None, row: dict[str, Any], number: int = 3) -> Any:
    return msgspec.json.decode(RowMapping.of(columns, row).line(number, row))


def chat(prompt: str, model: str = "m") -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}]}


def test_a_prompt_becomes_a_chat_request() -> None:
    line = made(PROMPTS, {"text": "Hi", "other": 1})
    assert line == {"custom_id": "row-3", "url": CHAT, "body": chat("Hi")}


def test_the_model_may_be_a_column() -> None:
    row = {"text": "Hi", "which": "gpt-4o"}
    assert made({"prompt": "text", "model": "which"}, row)["body"] == chat("Hi", "gpt-4o")


def test_columns_of_the_right_name_need_no_mapping() -> None:
    row = {"custom_id": "a", "url": "/v1/embeddings", "method": "POST", "body": {"input": "x"}}
    assert made(None, row) == row


@pytest.mark.parametrize("body", ['{"input": "x", "n": null}', b'{"input": "x", "n": null}'])
def test_a_body_that_is_json_is_taken_as_it_is(body: str | bytes) -> None:
    assert made(None, {"url": "/v1/embeddings", "body": body})["body"] == {"input": "x", "n": None}


def test_nulls_that_arrow_adds_to_a_struct_are_left_out() -> None:
    body = {"input": "x", "n": None, "deep": [{"a": 1, "b": None}], "none": None}
    line = made({"url": "/v1/embeddings"}, {"body": body})
    assert line["body"] == {"input": "x", "deep": [{"a": 1}]}


def test_a_number_becomes_an_id_and_a_null_does_not() -> None:
    columns = {**PROMPTS, "custom_id": "id"}
    assert made(columns, {"text": "Hi", "id": 7})["custom_id"] == "7"
    assert made(columns, {"text": "Hi", "id": None})["custom_id"] is None


@pytest.mark.parametrize(
    ("columns", "there", "problem"),
    [
        ({"text": "prompt"}, ["prompt"], "columns has 'text'"),
        ({"prompt": "text", "model": "m"}, ["a", "b"], "no column 'text' for prompt.*'a', 'b'"),
        ({"prompt": "text"}, ["text"], "no body"),
        (None, ["text"], "no body"),
        (None, [], "no body"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(
    columns: dict[str, str] | None, there: list[str], problem: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        RowMapping.of(columns, there)


@pytest.mark.parametrize(
    ("body", "problem"),
    [("{broken", "not valid JSON"), ({"x": object()}, "cannot be written as JSON")],
)
def test_a_row_that_cannot_become_a_line_raises_an_error_that_says_why(
    body: Any, problem: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        made({"url": CHAT}, {"body": body})
