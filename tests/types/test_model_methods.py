"""`model_dump` and its like: what official answers can do, compared with the official classes."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from openai_async import types
from openai_async.types import chat
from openai_async.types.base import APIObject, ResponseMeta

COMPLETION: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "service_tier": None,
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "logprobs": {
                "content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}],
                "refusal": None,
            },
            "message": {
                "role": "assistant",
                "content": "Hé",
                "refusal": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "2", "type": "custom", "custom": {"name": "g", "input": "x"}},
                ],
            },
        },
        {"index": 1, "finish_reason": "stop", "message": {"role": "assistant", "content": ""}},
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 0,
        "total_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 0},
    },
    "x_groq": {"id": None, "seeds": [1, 2]},
    "warning": None,
}
CHUNK: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
}
EMBEDDINGS: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}],
    "model": "e",
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
IMAGES: dict[str, Any] = {
    "created": 1,
    "data": [{"b64_json": "aaaa", "revised_prompt": None}],
    "usage": {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
        "input_tokens_details": {"text_tokens": 1, "image_tokens": 0},
    },
}
BATCH: dict[str, Any] = {
    "id": "b",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "f",
    "completion_window": "24h",
    "status": "failed",
    "created_at": 1,
    "errors": {"object": "list", "data": [{"code": "c", "message": "m", "line": None}]},
    "request_counts": {"total": 1, "completed": 0, "failed": 1},
}
FILE: dict[str, Any] = {
    "id": "f",
    "object": "file",
    "bytes": 1,
    "created_at": 2,
    "filename": "a",
    "purpose": "batch",
    "status": "processed",
}
MODEL: dict[str, Any] = {"id": "m", "object": "model", "created": 1, "owned_by": "o"}
MODERATION: dict[str, Any] = {"self-harm": True, "harassment": False}

ANSWERS: dict[str, tuple[type[APIObject], dict[str, Any]]] = {
    "chat.ChatCompletion": (chat.ChatCompletion, COMPLETION),
    "chat.ChatCompletionChunk": (chat.ChatCompletionChunk, CHUNK),
    "CreateEmbeddingResponse": (types.CreateEmbeddingResponse, EMBEDDINGS),
    "ImagesResponse": (types.ImagesResponse, IMAGES),
    "Batch": (types.Batch, BATCH),
    "FileObject": (types.FileObject, FILE),
    "Model": (types.Model, MODEL),
}
CHOICES: dict[str, Any] = {
    "all": {},
    "json": {"mode": "json"},
    "without none": {"exclude_none": True},
    "without unset": {"exclude_unset": True},
    "without defaults": {"exclude_defaults": True},
    "without unset and none": {"exclude_unset": True, "exclude_none": True},
    "by alias": {"by_alias": True},
    "round trip": {"round_trip": True, "warnings": False},
    "only a name": {"include": {"model"}},
    "no name": {"include": set()},
    "without a name": {"exclude": {"model", "choices", "x_groq"}},
    "part of an item": {"include": {"choices": {0: {"message": {"content"}}}}},
    "the last item": {"include": {"choices": {-1}}},
    "not the last item": {"exclude": {"choices": {-1: True}}},
    "part of every item": {"exclude": {"choices": {"__all__": {"message"}}}},
    "of every item, and more of one": {
        "exclude": {"choices": {"__all__": {"message": {"content"}}, 0: {"message": {"role"}}}}
    },
    "all of one item, part of the others": {
        "include": {"choices": {"__all__": {"index"}, 0: True}}
    },
    "everything in an object": {"include": {"usage": ..., "model": True, "id": None}},
    "nothing in an object": {"include": {"usage": {}}},
    "inside of what has no attribute": {"exclude": {"x_groq": {"seeds": {0}}}},
    "both": {"include": {"usage", "model"}, "exclude": {"usage": {"total_tokens"}}},
    "every field": {"exclude": {"__all__"}},
}


def official(name: str, data: dict[str, Any]) -> Any:
    """The official object, as the official SDK makes it of an answer."""
    found: Any = pytest.importorskip("openai").types
    for part in name.split("."):
        found = getattr(found, part)
    return found.construct(**json.loads(json.dumps(data)))


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("how", CHOICES.values(), ids=CHOICES)
def test_model_dump_is_that_of_the_official_class(name: str, how: dict[str, Any]) -> None:
    cls, data = ANSWERS[name]
    theirs = official(name, data)
    assert cls.from_dict(data).model_dump(**how) == theirs.model_dump(**{"warnings": False, **how})


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize(
    "how", [{}, {"exclude_none": True}, {"exclude_unset": False}, {"mode": "json"}], ids=str
)
def test_to_dict_is_that_of_the_official_class(name: str, how: dict[str, Any]) -> None:
    cls, data = ANSWERS[name]
    assert cls.from_dict(data).to_dict(**how) == official(name, data).to_dict(**how)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_names_of_fields_are_those_of_the_official_class(name: str) -> None:
    cls, data = ANSWERS[name]
    ours, theirs = cls.from_dict(data), official(name, data)
    assert ours.model_extra == theirs.model_extra
    assert ours.model_fields_set == theirs.model_fields_set


@pytest.mark.parametrize("indent", [None, 2, 4])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_json_text_is_written_as_in_the_official_class(
    indent: int | None, ascii_only: bool
) -> None:
    """Of an object whose fields are declared in the same order there."""
    data = {"role": "user", "content": "Hé", "x": [1, {}, [], 0.5, True, None]}
    ours = chat.ChatCompletionMessage.from_dict(data)
    how: Any = {"include": {"content", "x"}, "indent": indent, "ensure_ascii": ascii_only}
    theirs = official("chat.ChatCompletionMessage", data)
    assert ours.model_dump_json(**how) == theirs.model_dump_json(**how)


# --- without the official package ---


def test_all_fields_are_dumped_and_then_those_without_an_attribute() -> None:
    usage = chat.CompletionUsage.from_dict({"cost": 0.1, "total_tokens": 3})
    assert list(usage.model_dump().items()) == [
        ("prompt_tokens", 0),
        ("completion_tokens", 0),
        ("total_tokens", 3),
        ("completion_tokens_details", None),
        ("prompt_tokens_details", None),
        ("cost", 0.1),
    ]
    assert usage.model_dump(exclude_unset=True) == {"total_tokens": 3, "cost": 0.1}
    assert usage.model_extra == {"cost": 0.1}
    assert usage.model_fields_set == {"total_tokens"}


def test_by_alias_uses_the_keys_of_the_json() -> None:
    categories = types.moderations.Categories.from_dict(MODERATION)
    how: Any = {"exclude_unset": True}
    assert categories.model_dump(**how) == {"self_harm": True, "harassment": False}
    assert categories.model_dump(by_alias=True, **how) == MODERATION
    assert categories.to_dict(use_api_names=False) == {"self_harm": True, "harassment": False}


def test_what_has_the_wrong_shape_is_dumped_as_received() -> None:
    data = {"index": 0, "logprobs": "none", "message": {"content": [{"text": "Hi"}, {"text": "!"}]}}
    choice = chat.Choice.from_dict(data)
    assert choice.model_dump(exclude_unset=True) == data
    assert choice.model_extra == {}
    assert choice.message.content == "Hi!"


def test_a_vector_is_dumped_as_numbers_however_it_was_sent() -> None:
    item = types.Embedding.from_dict({"index": 0, "embedding": "AAAAPwAAgD8="})
    assert item.model_dump() == {"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}
    assert item.to_dict()["embedding"] == "AAAAPwAAgD8="


def test_changes_are_dumped() -> None:
    completion = chat.ChatCompletion.from_dict(json.loads(json.dumps(COMPLETION)))
    completion.choices.pop()
    completion.choices[0].message.content = "changed"
    dumped = completion.model_dump()
    assert [choice["message"]["content"] for choice in dumped["choices"]] == ["changed"]
    dumped["x_groq"]["seeds"].append(3)
    assert completion.model_extra["x_groq"]["seeds"] == [1, 2]


@pytest.mark.parametrize(
    ("kind", "data"),
    [(chat.ChatCompletion, {"choices": []}), (chat.CompletionUsage, {}), (chat.ChoiceDelta, {})],
    ids=["completion", "usage", "delta"],
)
def test_a_vendors_field_is_an_attribute(kind: type[APIObject], data: dict[str, Any]) -> None:
    answer: Any = kind.from_dict({**data, "x_reason": "Hm.", "x_more": {"a": [1]}})
    assert (answer.x_reason, answer.x_more) == ("Hm.", {"a": [1]})
    assert pickle.loads(pickle.dumps(answer)).x_reason == "Hm."
    assert not hasattr(answer, "x_else")


def test_a_field_that_nobody_sent_is_an_attribute_error_with_its_name() -> None:
    answer: Any = chat.ChatCompletion.from_dict({"choices": [], "usagi": 1})
    with pytest.raises(AttributeError, match="'ChatCompletion' object has no attribute 'x'"):
        _ = answer.x
    by_hand: Any = chat.ChatCompletionMessage(content="Hi")
    with pytest.raises(AttributeError, match="no attribute 'reasoning_content'"):
        _ = by_hand.reasoning_content


def test_an_object_built_by_hand_is_dumped() -> None:
    message = chat.ChatCompletionMessage(content="Hi")
    assert message.model_dump(exclude_none=True) == {"role": "assistant", "content": "Hi"}
    assert message.model_fields_set == {"role", "content"}


def test_a_message_goes_into_the_next_request_as_a_dump() -> None:
    completion = chat.ChatCompletion.from_dict(COMPLETION)
    dumped = completion.choices[0].message.model_dump(exclude_none=True)
    assert dumped["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert dumped["reasoning_content"] == "hm"


def test_model_dump_json_writes_what_utf8_cannot() -> None:
    message = chat.ChatCompletionMessage(content="half \ud83d")
    dumped = message.model_dump_json(exclude_none=True)
    assert dumped == '{"role":"assistant","content":"half \\ud83d"}'


def test_to_json_takes_an_indent() -> None:
    usage = types.embeddings.Usage.from_dict({"total_tokens": 3})
    assert usage.to_json() == '{"total_tokens":3}'
    assert usage.to_json(indent=2) == '{\n  "total_tokens": 3\n}'
    assert usage.to_json(exclude_unset=False) == '{"prompt_tokens":0,"total_tokens":3}'


def test_an_unknown_mode_is_an_error() -> None:
    mode: Any = "xml"
    with pytest.raises(ValueError, match="mode is 'xml'"):
        chat.CompletionUsage().model_dump(mode=mode)


def test_model_copy_changes_the_copy() -> None:
    data = {"id": "c", "choices": [{"index": 0, "message": {"content": "Hi"}}]}
    completion = chat.ChatCompletion.from_dict(data)
    copied = completion.model_copy(update={"model": "other", "cost": 3})
    assert (copied.model, copied.model_extra, completion.model) == ("other", {"cost": 3}, "")
    assert copied.to_dict() == {**data, "model": "other", "cost": 3}
    assert completion.to_dict() == data
    assert copied.choices[0] is completion.choices[0]


def test_a_deep_copy_shares_nothing() -> None:
    completion = chat.ChatCompletion.from_dict({"choices": [{"message": {"content": "Hi"}}]})
    copied = completion.model_copy(deep=True)
    copied.choices[0].message.content = "changed"
    assert completion.text == "Hi"
    assert copied.to_dict() == {"choices": [{"message": {"content": "changed"}}]}


def test_an_unknown_name_is_added_to_an_object_built_by_hand() -> None:
    copied = chat.ChatCompletionMessage(content="Hi").model_copy(update={"name": "Ann"})
    assert copied.to_dict() == {"role": "assistant", "content": "Hi", "name": "Ann"}


def test_only_whole_answers_have_a_request_id() -> None:
    completion = chat.ChatCompletion.from_dict(COMPLETION)
    completion.meta = ResponseMeta(headers={"x-request-id": "req_1"})
    assert completion._request_id == completion.meta.request_id == "req_1"
    assert chat.ChatCompletion()._request_id is None
    assert not hasattr(completion.usage, "_request_id")
