"""The messages that `useChat` posts, as the API's messages; test_use_chat.py has those of the real
hook.
"""

from __future__ import annotations

from typing import Any

import pytest

from openai_async import AsyncClient, InvalidArgumentError
from openai_async.testing import LocalServer
from openai_async.web import from_ui_messages

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNg"
    "AAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
STEP = {"type": "step-start"}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": "m1", "role": "user", "parts": [*parts]}


def assistant(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": "m2", "role": "assistant", "metadata": {"usage": {}}, "parts": [*parts]}


def text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "state": "done"}


def file(kind: str, url: str, **more: str) -> dict[str, Any]:
    return {"type": "file", "mediaType": kind, "url": url, **more}


def called(name: str, id: str, **more: Any) -> dict[str, Any]:
    return {"type": f"tool-{name}", "toolCallId": id, "state": "output-available", **more}


def function(name: str, arguments: str, id: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def test_texts() -> None:
    told = from_ui_messages([user(text("Hi, "), text("you")), assistant(STEP, text("Hello!"))])
    assert told == [
        {"role": "user", "content": "Hi, you"},
        {"role": "assistant", "content": "Hello!"},
    ]


def test_reasoning_sources_and_data_of_the_page_are_left_out() -> None:
    more: list[dict[str, Any]] = [
        {"type": "reasoning", "text": "Hm", "state": "done"},
        {"type": "source-url", "sourceId": "s", "url": "https://example.com"},
        {"type": "data-status", "data": {"progress": 1}},
    ]
    told = from_ui_messages([user(text("Hi"), more[2]), assistant(STEP, *more, text("Hello!"))])
    assert told == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]


@pytest.mark.parametrize(
    ("part", "content"),
    [
        (file("image/png", PNG), {"type": "image_url", "image_url": {"url": PNG}}),
        (
            file("image/*", "https://example.com/cat"),
            {"type": "image_url", "image_url": {"url": "https://example.com/cat"}},
        ),
        (
            file("audio/mpeg", "data:audio/mpeg;base64,SUQz"),
            {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        ),
        (
            file("application/pdf", "data:application/pdf;base64,JVBE", filename="a.pdf"),
            {
                "type": "file",
                "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"},
            },
        ),
        (
            file("text/markdown", "data:text/markdown;base64,w6k=", filename="a.md"),
            {"type": "text", "text": "a.md:\né"},
        ),
        (
            file("text/csv", "data:text/csv;base64,77u/YSxi", filename="a.csv"),
            {"type": "text", "text": "a.csv:\na,b"},
        ),
        (
            file("application/json", "data:application/json;base64,e30="),
            {"type": "text", "text": "file:\n{}"},
        ),
    ],
    ids=["picture", "picture by URL", "recording", "document", "text", "Excel's CSV", "JSON"],
)
def test_files(part: dict[str, Any], content: dict[str, Any]) -> None:
    told: Any = from_ui_messages([user(text("What is this?"), part)])
    assert told[0]["content"] == [{"type": "text", "text": "What is this?"}, content]


def test_each_step_is_a_message_followed_by_the_results_of_its_calls() -> None:
    answer = assistant(
        STEP,
        text("Let me see."),
        called("add", "c1", input={"a": 1}, output={"sum": 1}),
        called("clock", "c2", input={}, output="noon"),
        STEP,
        called("clock", "c3", output=None),
        STEP,
        text("Done."),
    )
    assert from_ui_messages([answer]) == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [function("add", '{"a":1}', "c1"), function("clock", "{}", "c2")],
        },
        result("c1", '{"sum":1}'),
        result("c2", "noon"),
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [function("clock", "{}", "c3")],
        },
        result("c3", "null"),
        {"role": "assistant", "content": "Done."},
    ]


def test_a_call_that_failed_has_its_error_as_its_result() -> None:
    failed = called("add", "c1", errorText="No.") | {"state": "output-error"}
    misread, misread_before = {"input": '{"a":'}, {"rawInput": '{"a":'}  # before version 7
    told: Any = from_ui_messages(
        [assistant(*(failed | more for more in ({"input": {"a": 1}}, misread, misread_before)))]
    )
    arguments = [call["function"]["arguments"] for call in told[0]["tool_calls"]]
    assert arguments == ['{"a":1}', '{"a":', '{"a":']
    assert told[1:] == [result("c1", "No.")] * 3


def test_the_input_of_a_custom_tool_is_text() -> None:
    told: Any = from_ui_messages([assistant(called("sql", "c1", input="SELECT 1", output="1"))])
    custom = {"name": "sql", "input": "SELECT 1"}
    assert told[0]["tool_calls"] == [{"id": "c1", "type": "custom", "custom": custom}]


def test_a_dynamic_tool_has_its_name_beside_its_type() -> None:
    part = called("", "c1", input={}, output=1) | {"type": "dynamic-tool", "toolName": "add"}
    told: Any = from_ui_messages([assistant(part)])
    assert told[0]["tool_calls"] == [function("add", "{}", "c1")]


@pytest.mark.parametrize(
    "state", ["input-streaming", "input-available", "approval-requested", "output-denied", None]
)
def test_a_call_without_a_result_is_left_out(state: str | None) -> None:
    stopped = called("add", "c1", input={"a": 1}) | {"state": state}
    told = from_ui_messages([assistant(STEP, text("Let me"), stopped), user(text("Well?"))])
    assert told == [
        {"role": "assistant", "content": "Let me"},
        {"role": "user", "content": "Well?"},
    ]


def test_an_answer_that_was_stopped_before_its_first_token_is_left_out() -> None:
    assert from_ui_messages([user(text("Hi")), assistant(STEP)]) == [
        {"role": "user", "content": "Hi"}
    ]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (None, "messages is not a list"),
        ({"role": "user"}, "messages is not a list"),
        (["Hi"], r"messages\[0\] is not an object"),
        ([{"role": "user", "content": "Hi"}], r"messages\[0\].parts is not a list"),
        ([{"role": "system", "parts": []}], r"messages\[0\] has role 'system': only"),
        ([{"parts": []}], r"messages\[0\] has role null: only"),
        ([user({"type": "text", "text": 7})], r"messages\[0\] has a part whose text is not"),
        ([user(file("image/png", PNG), {"type": "file"})], "a part whose url is not a string"),
        ([user(file("image/png", "file:///a.png"))], r"neither an http\(s\) URL nor a data URL"),
        ([user(file("image/png", "blob:https://a.b/c"))], "neither an http"),
        ([user(file("image/png", "/a.png"))], "neither an http"),
        ([user(file("audio/wav", "https://a.b/c"))], "by URL: send it as a base64 data URL"),
        ([user(file("audio/wav", "data:audio/wav,abc"))], "by URL: send it as a base64 data URL"),
        (
            [user(file("text/plain", "data:text/plain;base64,/w=="))],
            "a text file that is not UTF-8",
        ),
        ([user(file("text/plain", "data:text/plain;base64,?"))], "that is not UTF-8 in base64"),
        ([assistant(called("add", "c1", output=1) | {"toolCallId": 1})], "toolCallId is not"),
    ],
    ids=str,
)
def test_what_is_not_a_message_is_refused(messages: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        from_ui_messages(messages)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "message",
    [
        {"role": "x" * 1000, "parts": []},
        {"role": nested(100_000), "parts": []},
        user(file("x" * 1000, "https://a.b/c")),
        assistant(called("add", "c1", input=nested(100_000), output=1)),
        assistant(called("add", "c1", input={}, output=nested(100_000))),
    ],
    ids=["long role", "deep role", "long type", "deep input", "deep output"],
)
def test_what_is_too_long_or_too_deep_is_refused_in_few_words(message: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        from_ui_messages([message])
    assert str(caught.value).startswith("messages[0] has")
    assert len(str(caught.value)) < 200


def test_a_nan_which_json_does_not_have_is_null() -> None:
    """No page sends it, but Python's parser takes it from anybody."""
    told: Any = from_ui_messages([assistant(called("add", "c1", input={}, output=float("nan")))])
    assert told[1] == result("c1", "null")


async def test_the_api_takes_them(server: LocalServer, client: AsyncClient) -> None:
    history = [
        user(text("What is this?"), file("image/png", PNG)),
        assistant(STEP, called("add", "c1", input={"a": 1}, output=1), STEP, text("A cat."), STEP),
        user(text("Why?")),
    ]
    answer = await client.chat.completions.create(
        model="gpt-4o", messages=from_ui_messages(history)
    )
    assert answer.text
