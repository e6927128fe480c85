"""JSON in, objects out: lenient about values, strict about shape."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async import APIError, APIResponseValidationError, InvalidArgumentError
from openai_async.types.base import ResponseMeta
from openai_async.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionMessageCustomToolCall,
)
from openai_async.types.images import ImagesResponse
from openai_async.types.models import ModelList
from openai_async.types.structuring import structurer
from openai_async.wire.codec import dumps, loads, parse

META = ResponseMeta(status=200)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=9), children, max_size=4)
    ),
    max_leaves=20,
)


def completion(value: object) -> ChatCompletion:
    return parse(ChatCompletion, msgspec.json.encode(value), META)


def test_the_bare_minimum() -> None:
    result = completion({"choices": [{"message": {"content": "hi"}}]})
    assert result.text == "hi"
    assert result.choices[0].finish_reason is None
    assert (result.id, result.created, result.usage) == ("", 0, None)


def test_nulls_become_defaults() -> None:
    result = completion(
        {
            "id": None,
            "created": None,
            "choices": [{"message": None, "logprobs": None}],
            "usage": None,
        }
    )
    assert (result.id, result.created, result.text) == ("", 0, "")


def test_null_instead_of_a_list() -> None:
    assert len(parse(ModelList, b'{"data": null}', META)) == 0
    message = completion({"choices": [{"message": {"tool_calls": None}}]}).choices[0].message
    assert message.tool_calls is None


def test_a_null_among_objects_is_left_out() -> None:
    assert len(completion({"choices": [None, {"index": 1}]}).choices) == 1


def test_floats_for_counts() -> None:
    usage = completion({"choices": [], "usage": {"total_tokens": 12.0}}).usage
    assert usage is not None
    assert type(usage.total_tokens) is int


def test_unknown_enum_values() -> None:
    result = completion({"choices": [{"finish_reason": "bored"}], "service_tier": "warp"})
    assert (result.choices[0].finish_reason, result.service_tier) == ("bored", "warp")


def test_everything_the_api_describes() -> None:
    value = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-4o",
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "metadata": {"a": "b"},
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "logprobs": {
                    "content": [
                        {
                            "token": "Hi",
                            "logprob": -0.5,
                            "bytes": [72, 105],
                            "top_logprobs": [{"token": "Yo", "logprob": -2.0, "bytes": None}],
                        }
                    ],
                    "refusal": None,
                },
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "refusal": "no",
                    "tool_calls": [
                        {
                            "id": "1",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        },
                        {"id": "2", "type": "custom", "custom": {"name": "c", "input": "i"}},
                    ],
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "start_index": 1,
                                "end_index": 2,
                                "title": "t",
                                "url": "u",
                            },
                        }
                    ],
                    "audio": {"id": "a", "data": "ZGF0YQ==", "expires_at": 1, "transcript": "t"},
                    "function_call": {"name": "f", "arguments": "{}"},
                },
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "completion_tokens_details": {"reasoning_tokens": 1},
            "prompt_tokens_details": {"cached_tokens": 1},
        },
        "moderation": {
            "input": {"type": "moderation_results", "model": "m", "results": [{"flagged": True}]},
            "output": {"type": "error", "code": "c", "message": "m"},
        },
    }
    result = completion(value)
    choice, message = result.choices[0], result.choices[0].message
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert choice.logprobs.content[0].top_logprobs[0].token == "Yo"
    assert message.tool_calls is not None
    first, second = message.tool_calls
    assert first.type == "function"
    assert first.function.name == "f"
    assert second.type == "custom"
    assert second.custom.input == "i"
    assert message.annotations is not None
    assert message.annotations[0].url_citation is not None
    assert message.annotations[0].url_citation.end_index == 2
    assert message.audio is not None
    assert message.audio.transcript == "t"
    assert result.usage is not None
    assert result.usage.completion_tokens_details is not None
    assert result.usage.completion_tokens_details.reasoning_tokens == 1
    assert result.moderation is not None
    assert result.moderation.input is not None
    assert result.moderation.input.results is not None
    assert result.moderation.input.results[0].flagged is True
    assert result.extra == message.extra == {}
    assert result.to_dict() == value


@pytest.mark.parametrize(
    "call",
    [
        {"id": "1", "custom": {"name": "c", "input": "i"}},
        {"id": "1", "type": None, "custom": {"name": "c", "input": "i"}},
        {"id": "1", "type": "custom"},
    ],
)
def test_a_custom_tool_call_is_recognized_by_its_type_or_its_fields(call: object) -> None:
    message = completion({"choices": [{"message": {"tool_calls": [call]}}]}).choices[0].message
    assert message.tool_calls is not None
    assert type(message.tool_calls[0]) is ChatCompletionMessageCustomToolCall


@pytest.mark.parametrize(
    "value",
    [
        {"choices": "x"},
        {"choices": [5]},
        {"choices": [{"message": "x"}]},
        {"choices": None},
        {"choices": [{"message": {"tool_calls": "x"}}]},
        {"choices": [{"message": {"tool_calls": [1]}}]},
        {},
        {"object": "list", "data": []},
        [],
        None,
        "x",
    ],
)
def test_a_wrong_shape_is_a_validation_error(value: object) -> None:
    with pytest.raises(APIResponseValidationError) as caught:
        completion(value)
    assert caught.value.status_code == 200
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    ("where", "field", "value", "default"),
    [
        ("top", "usage", [], None),
        ("top", "usage", 7, None),
        ("top", "created", "who can keep track?", 0),
        ("top", "created", "2026-01-01T00:00:00Z", 0),
        ("top", "created", [], 0),
        ("top", "metadata", [], None),
        ("top", "moderation", [], None),
        ("top", "moderation", "none", None),
        ("choice", "logprobs", -0.02, None),
        ("choice", "logprobs", [], None),
        ("choice", "index", "first", 0),
        ("message", "tool_calls", {}, None),
        ("message", "tool_calls", "x", None),
        ("message", "tool_calls", [1], None),
        ("message", "function_call", "", None),
        ("message", "annotations", {}, None),
        ("message", "audio", [], None),
    ],
)
def test_a_side_field_of_another_shape_has_its_default_and_is_an_extra(
    where: str, field: str, value: object, default: object
) -> None:
    message: dict[str, Any] = {"role": "assistant", "content": "hello"}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
    top: dict[str, Any] = {"id": "1", "choices": [choice]}
    {"top": top, "choice": choice, "message": message}[where][field] = value
    result = completion(top)
    holder: Any = {
        "top": result,
        "choice": result.choices[0],
        "message": result.choices[0].message,
    }[where]
    assert result.text == "hello"
    assert getattr(holder, field) == default
    assert holder.extra == {field: value}
    assert result.to_dict() == top


@pytest.mark.parametrize(
    ("value", "number"), [("1712361441.0", 1712361441), ("12", 12), (12.9, 12), (True, 1)]
)
def test_a_number_in_another_form_is_read_as_that_number(value: object, number: int) -> None:
    result = completion({"choices": [], "created": value})
    assert (result.created, result.extra) == (number, {})


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [{"message": {"content": "hello"}}]}data: [DONE]',
        b'{"choices": [{"message": {"content": "hello"}}]}\n\ndata: [DONE]\n\n',
        b'data: {"choices": [{"message": {"content": "hello"}}]}\n\ndata: [DONE]\n\n',
        b'data: {"choices": [{"message": {"content": "hello"}}]}\ndata: [DONE]\n\n',
        b'data: {"choices": [{"delta": {"content": "hel"}}]}\n\n'
        b'data: {"choices": [{"delta": {"content": "lo"}}]}\n\ndata: [DONE]\n\n',
        b': ping\n\ndata: {"choices": [{"delta": {"content": "hello"}, "finish_reason": "stop"}]}',
        b'{"choices": [{"delta": {"content": "hello"}}]}',
        b'\n\n{"choices": [{"message": {"content": [{"type": "text", "text": "hello"}]}}]}',
    ],
)
def test_the_first_bytes_decide_what_a_body_is(body: bytes) -> None:
    assert parse(ChatCompletion, body, META).text == "hello"


HEL = b'data: {"choices": [{"delta": {"content": "hel"}}]}\n\n'


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (b'event: error\ndata: {"message": "full"}\n\n', "full"),
        (b"event: error\ndata: full\n\n", "full"),
        (b'data: {"choices": [{"del\ndata: {"error": {"message": "full"}}\n\n', "full"),
        (b'data: {"choices": [{"del\nevent: error\ndata: {"message": "full"}\n\n', "full"),
        (b'data: {"message": "full", "code": 500}\n\n', "full"),
        (b'data: {"choices": [], "message": "full", "code": 500}\n\n', "full"),
        (b'data: {"error": {"message": "full"}}\n\n', "full"),
        (b'data: {"choices": [], "x_groq": {"error": "full"}}\n\n', "full"),
        (b'data: {"choices": [{"error": {"message": "full"}}]}\n\n', "full"),
    ],
)
@pytest.mark.parametrize("begun", [b"", HEL])
@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
def test_a_failure_in_a_stream_in_place_of_a_plain_answer_raises(
    events: bytes, words: str, begun: bytes, end: bytes
) -> None:
    with pytest.raises(APIError, match=words) as caught:
        parse(ChatCompletion, begun + events + end, META)
    assert not isinstance(caught.value, APIResponseValidationError)


def test_a_key_in_an_event_of_the_wrong_shape_is_not_shown() -> None:
    body = HEL + b'data: {"choices": ["sk-test-123456"]}\n\n'
    with pytest.raises(APIResponseValidationError) as caught:
        parse(ChatCompletion, body, META, "sk-test-123456")
    assert caught.value.status_code == 200
    error: BaseException | None = caught.value
    while error is not None:
        assert "sk-test-123456" not in f"{error!r} {vars(error)!r}"
        error = error.__cause__ or error.__context__


# Python's stack has room for about 1,000 calls and levels of JSON together: the last of these
# depths cannot be read, and some of the others cannot be processed in every way.
DEPTHS = range(850, 1011, 5)
DEEP_CALL = b'{"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": %s}}]}'

# The json module of Python 3.12 and newer writes any depth.
has_a_limit = pytest.mark.skipif(sys.version_info >= (3, 12), reason="json writes any depth")


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@has_a_limit
@pytest.mark.parametrize("key", ["message", "delta"])
def test_arguments_that_are_nested_too_deeply_stay_in_the_json(key: str) -> None:
    arguments: dict[str, Any] = {"a": 1}
    for _ in range(DEPTHS[-1]):
        arguments = {"a": arguments}
    function = {"name": "f", "arguments": arguments}
    calls = {"tool_calls": [{"id": "1", "function": function}]}
    result = ChatCompletion.from_dict({"choices": [{key: calls}]})
    (call,) = result.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.arguments == ""
    assert call.function.extra["arguments"]["a"]["a"]


@has_a_limit
def test_arguments_that_are_nested_too_deep_in_a_stream_are_an_error() -> None:
    event = b'data: {"choices": [{"delta": %s, "finish_reason": "stop"}]}\n\n' % DEEP_CALL
    for levels in DEPTHS[:-1]:
        with suppress(APIResponseValidationError):
            parse(ChatCompletion, event % deep(levels), META)
    with pytest.raises(APIResponseValidationError) as caught:
        parse(ChatCompletion, event % deep(DEPTHS[-1]), META)
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    "answer",
    [
        b'{"data": [{"id": %s}]}',
        b'{"data": [{"object": %s}]}',
        b'{"data": %s}',
        b'{"choices": %s}',
        b'{"choices": [{"message": %s}]}',
        b'{"choices": [{"message": {"tool_calls": %s}}]}',
        b'{"choices": [{"logprobs": %s}]}',
        b'{"choices": [], "error": %s}',
        b'{"message": %s}',
        b'{"message": {"msg": %s}}',
        b'{"message": {"loc": [%s], "msg": "no"}}',
    ],
)
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"msg":', b"1" + b"}")])
def test_deep_nesting_never_raises_a_recursion_error(
    answer: bytes, opening: bytes, closing: bytes
) -> None:
    for levels in DEPTHS:
        body = answer % (opening * levels + closing[:-1] + closing[-1:] * levels)
        for cls in (ChatCompletion, ModelList, ImagesResponse):
            for secret in (None, "sk-test-0123456789"):
                with suppress(APIError):
                    assert parse(cls, body, META, secret)


def test_content_that_is_nested_too_deep_has_no_text() -> None:
    body = b'{"choices": [{"message": {"content": %s%s}}]}' % (b"[" * 850, b"]" * 850)
    assert parse(ChatCompletion, body, META).text == ""


def test_a_truncated_stream_of_one_event_is_not_an_answer() -> None:
    with pytest.raises(APIResponseValidationError):
        parse(ChatCompletion, HEL, META)


def test_the_error_of_a_choice_is_shown_though_groq_adds_its_id() -> None:
    failed = b'data: {"choices": [{"error": {"message": "gone"}}], "x_groq": {"id": "1"}}\n\n'
    with pytest.raises(APIError, match="gone"):
        parse(ChatCompletion, HEL + failed, META)


@pytest.mark.parametrize("choices", [[], {}, "", 0])
def test_empty_choices_of_any_type_are_an_empty_list(choices: object) -> None:
    assert completion({"choices": choices}).choices == []


def test_parsing_a_flat_call_keeps_its_neighbours_in_the_json() -> None:
    flat = {"id": "1", "name": "now", "arguments": "{}"}
    message = (
        completion({"choices": [{"message": {"tool_calls": [flat, "oops"]}}]}).choices[0].message
    )
    assert message.to_dict()["tool_calls"][1] == "oops"


def test_one_odd_tool_call_does_not_take_the_others_with_it() -> None:
    calls = ["none", {"id": "1", "type": "function", "function": {"name": "now"}}, 5]
    message = completion({"choices": [{"message": {"tool_calls": calls}}]}).choices[0].message
    (call,) = message.tool_calls or []
    assert call.id == "1"
    assert message.to_dict() == {"tool_calls": calls}


@pytest.mark.parametrize(
    "call",
    [
        {"id": "1", "name": "now", "arguments": "{}"},
        {"id": "1", "function": "now", "arguments": "{}"},
        {"id": "1", "type": "function", "function": {"name": "now", "arguments": {}}},
    ],
)
def test_a_tool_call_is_found_in_every_shape_and_can_be_sent_back(call: Any) -> None:
    message = completion({"choices": [{"message": {"tool_calls": [call]}}]}).choices[0].message
    (found,) = message.tool_calls or []
    assert found.type == "function"
    assert (found.id, found.function.name, found.function.arguments) == ("1", "now", "{}")
    (sent,) = message.to_dict()["tool_calls"]
    assert (sent["id"], sent["function"]["name"]) == ("1", "now")


def test_a_plain_answer_sent_as_a_stream_and_truncated_is_not_an_answer() -> None:
    body = b'data: {"choices": [{"delta": {"content": "hel"}}]}\n\ndata: {"choices": []}\n\n'
    with pytest.raises(APIResponseValidationError):
        parse(ChatCompletion, body, META)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "no money"}}, "money"),
        ({"choices": [], "base_resp": {"status_code": 1008, "status_msg": "no money"}}, "money"),
        ({"choices": None, "message": "overloaded", "code": 503}, "overloaded"),
        ({"code": 500, "msg": "out of memory"}, "out of memory"),
        ({"detail": "queue is full"}, "queue is full"),
        ({"type": "error", "message": "try again"}, "try again"),
        ({"choices": [{"error": {"message": "gone"}, "message": {"content": ""}}]}, "gone"),
        ({"choices": [{"finish_reason": "error", "message": {"content": "x"}}]}, "'error'"),
        ({"choices": [], "x_groq": {"error": "over capacity"}}, "over capacity"),
    ],
)
def test_a_failure_never_looks_like_an_answer(value: object, words: str) -> None:
    with pytest.raises(APIError, match=words) as caught:
        completion(value)
    assert not isinstance(caught.value, APIResponseValidationError)
    assert caught.value.body == value


@given(JSON)
def test_any_json_is_a_result_or_our_error(value: Any) -> None:
    for cls in (ChatCompletion, ModelList, ImagesResponse):
        for wrapped in (value, {"choices": value}, {"choices": [value]}, {"data": [value]}):
            try:
                parse(cls, dumps(wrapped), META)
            except (APIError, InvalidArgumentError):
                pass


@given(st.binary())
def test_any_bytes_are_a_result_or_our_error(data: bytes) -> None:
    with pytest.raises(APIError):
        parse(ChatCompletion, data, META)


@pytest.mark.parametrize(
    "deep", [b"[" * 200_000, b'{"choices":' * 200_000, b"[" * 900 + b"]" * 900]
)
def test_json_nested_deep(deep: bytes) -> None:
    with pytest.raises(APIResponseValidationError):
        parse(ChatCompletion, deep, META)


def test_nan_and_infinity_of_python_servers() -> None:
    value = loads(b'{"logprob": -Infinity, "other": NaN}')
    assert value["logprob"] == -math.inf
    assert math.isnan(value["other"])


def test_a_number_beyond_all_floats_has_the_default() -> None:
    data = b'{"choices": [{"logprobs": {"content": [{"logprob": 1%s}]}}]}' % (b"0" * 400)
    logprobs = parse(ChatCompletion, data, META).choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert logprobs.content[0].logprob == 0.0


def test_a_lone_surrogate_of_a_split_emoji() -> None:
    assert loads(b'"\\ud83d"') == "\ud83d"


# --- objects ------------------------------------------------------------------------------------


def test_fields_we_do_not_know_are_kept() -> None:
    result = completion(
        {"choices": [{"message": {"content": "x", "reasoning_content": "hm"}}], "v": 1}
    )
    assert result.extra == {"v": 1}
    assert result.choices[0].message.extra == {"reasoning_content": "hm"}


def test_a_field_called_meta_is_not_our_meta() -> None:
    result = completion({"choices": [], "meta": {"api": 1}})
    assert result.extra == {"meta": {"api": 1}}
    assert result.meta is META


def test_to_dict_is_a_copy_of_what_came() -> None:
    value = {
        "choices": [{"message": {"content": None, "x": [1.0, None]}}],
        "usage": {"total_tokens": 1.0},
    }
    result = completion(value)
    result.to_dict()["choices"].clear()
    assert result.to_dict() == value
    assert msgspec.json.decode(result.to_json()) == value


def test_an_object_built_by_hand_has_a_dict_too() -> None:
    message = ChatCompletionMessage(content="hi")
    assert message.to_dict() == {"role": "assistant", "content": "hi"}
    assert message.extra == {}


def test_objects_are_compared_by_their_fields() -> None:
    one = structurer(ChatCompletionChunk)({"choices": [{"delta": {"content": "a"}}]})
    two = structurer(ChatCompletionChunk)({"choices": [{"delta": {"content": "a"}, "index": 0}]})
    assert one == two


def test_a_changed_attribute_is_in_the_json_also_of_its_parents() -> None:
    result = completion({"choices": [{"message": {"content": "secret", "x": 1}}]})
    result.choices[0].message.content = "[removed]"
    assert result.choices[0].message.to_dict() == {"content": "[removed]", "x": 1}
    assert result.to_dict() == {"choices": [{"message": {"content": "[removed]", "x": 1}}]}


def test_extra_is_the_same_in_a_process_that_has_only_unpickled() -> None:
    result = completion({"choices": [], "created": "today", "vendor": 1})
    code = "import sys, pickle; print(pickle.load(sys.stdin.buffer).extra)"
    ran = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(result), capture_output=True, check=True
    )
    assert ran.stdout.decode().strip() == str({"created": "today", "vendor": 1})


def test_extra_is_a_copy() -> None:
    result = completion({"choices": [], "x": [1]})
    result.extra["x"].append(2)
    assert result.to_dict() == {"choices": [], "x": [1]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}, "!"], "Hi!"),
        (5, "5"),
    ],
)
def test_content_in_parts_is_their_text(content: object, text: str) -> None:
    assert completion({"choices": [{"message": {"content": content}}]}).text == text


def test_arguments_that_are_an_object_are_its_json() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    message = completion({"choices": [{"message": {"tool_calls": [call]}}]}).choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].type == "function"
    assert message.tool_calls[0].function.arguments == '{"a": 1}'


def test_numbers_in_words() -> None:
    result = completion({"choices": [{"index": "1"}], "created": "1700000000"})
    assert result.choices[0].index == 1


# --- requests -----------------------------------------------------------------------------------


def test_answers_may_be_used_in_requests() -> None:
    message = structurer(ChatCompletionMessage)({"role": "assistant", "content": "hi", "x": 1})
    assert loads(dumps({"messages": [message]})) == {
        "messages": [{"role": "assistant", "content": "hi", "x": 1}]
    }


def test_a_lone_surrogate_of_an_answer_may_go_back() -> None:
    message = structurer(ChatCompletionMessage)({"content": "\ud83d"})
    assert dumps({"messages": [message]}) == b'{"messages":[{"content":"\\ud83d"}]}'
    assert message.to_json() == '{"content":"\\ud83d"}'


def test_keys_may_be_numbers() -> None:
    assert dumps({"logit_bias": {50256: -100}}) == b'{"logit_bias":{"50256":-100}}'


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", ["\ud83d", {1}]])
def test_values_that_json_cannot_represent_are_named(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be written as JSON"):
        dumps({"x": value})


def test_a_copy_has_json_of_its_own() -> None:
    message = structurer(ChatCompletionMessage)({"role": "assistant", "content": "original"})
    branch = copy.copy(message)
    branch.content = "branch"
    assert (message.content, message.to_dict()["content"]) == ("original", "original")
    assert (branch.content, branch.to_dict()["content"]) == ("branch", "branch")


TWO_CALLS = {
    "role": "assistant",
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "x": 1},
        None,
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ],
}


def two_calls() -> Any:
    return structurer(ChatCompletionMessage)(copy.deepcopy(TWO_CALLS))


def test_lists_changed_in_place_are_what_is_sent() -> None:
    message = two_calls()
    assert message.to_dict() == TWO_CALLS
    message.tool_calls.pop()
    assert [call["id"] for call in loads(dumps([message]))[0]["tool_calls"]] == ["a"]
    assert message.to_dict()["tool_calls"][0]["x"] == 1
    message.tool_calls.clear()
    assert message.to_dict()["tool_calls"] == []


def test_what_is_changed_below_is_seen_above() -> None:
    message = two_calls()
    message.tool_calls[1].function.arguments = "[]"
    assert message.to_dict()["tool_calls"][1] is None
    assert message.to_dict()["tool_calls"][2]["function"]["arguments"] == "[]"
    assert '"arguments":"[]"' in message.to_json()


def test_a_replaced_object_is_tracked() -> None:
    result = completion({"choices": [{"index": 0, "message": {"content": "old"}, "y": 2}]})
    result.choices[0] = copy.deepcopy(result.choices[0])
    result.choices[0].message = ChatCompletionMessage(content="new")
    result.choices[0].message.content = "newer"
    assert result.to_dict()["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "newer"}, "y": 2}
    ]


def test_what_was_missing_stays_missing_until_it_is_set() -> None:
    result = completion({"choices": [{"message": None}, {}]})
    assert result.to_dict() == {"choices": [{"message": None}, {}]}
    result.choices[1].message.content = "set"
    assert result.to_dict()["choices"][1]["message"]["content"] == "set"
    assert result.to_dict()["choices"][0] == {"message": None}
