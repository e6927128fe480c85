"""`client.chat.completions.parse`: answers as values of a type, over real sockets."""

from __future__ import annotations

import copy
import pickle
from typing import Annotated, Any, Literal

import attrs
import pytest
from cattrs import Converter

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
    BadRequestError,
    ContentFilterFinishReasonError,
    InvalidArgumentError,
    LengthFinishReasonError,
    tool,
)
from openai_async.structured import Schema, make_converter, schema_of
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.types.chat_params import ChatCompletionMessageParam
from openai_async.types.parsed_chats import ParsedChatCompletion, ParsedFunctionToolCall

pytestmark = pytest.mark.virtual_time

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


@attrs.define
class Step:
    explanation: str
    output: int


STEP = '{"explanation": "add", "output": 4}'
STEPS = f'{{"value": [{STEP}, {STEP}]}}'


async def ask(client: AsyncClient, kind: Any, **params: Any) -> ParsedChatCompletion[Any]:
    params = {"model": "gpt-4o", "messages": HI, **params}
    completion: ParsedChatCompletion[Any] = await client.chat.completions.parse(
        response_format=kind, **params
    )
    return completion


async def test_beta_chat_is_chat(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply(STEP), Reply(STEP))
    completions = client.beta.chat.completions
    completion = await completions.parse(model="gpt-4o", messages=HI, response_format=Step)
    assert completion.parsed == Step("add", 4)
    async with completions.stream(model="gpt-4o", messages=HI) as stream:
        assert (await stream.get_final_completion()).text == STEP


# --- whole answers --------------------------------------------------------------------------------


async def test_the_answer_is_a_value_of_the_type(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply(STEP))
    completion = await ask(client, Step, temperature=0)
    assert completion.parsed == Step("add", 4)
    assert completion.choices[0].message.parsed is completion.parsed
    assert completion.choices[0].message.content == completion.text == STEP
    assert completion.usage is not None
    assert completion.meta.status == 200
    assert "parsed" not in completion.to_dict()["choices"][0]["message"]
    sent = server.requests[0].json
    assert sent["temperature"] == 0
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Step", "schema": schema_of(Step), "strict": True},
    }
    assert sent.keys() == {"model", "messages", "temperature", "response_format"}


async def test_a_list_at_the_top_is_wrapped_and_unwrapped(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(STEPS), Reply(f"[{STEP}]"), Reply(f"```json\n{STEPS}\n```"))
    for count in (2, 1, 2):  # as asked; and as servers answer that ignore schemas
        assert (await ask(client, list[Step])).parsed == [Step("add", 4)] * count
    assert server.requests[0].json["response_format"]["json_schema"]["name"] == "list_Step"


async def test_a_missing_field_takes_its_default_in_strict_mode_too(
    server: LocalServer, client: AsyncClient
) -> None:
    @attrs.define
    class Tea:
        kind: str
        cups: int = 1

    server.script(Reply('{"kind": "green"}'))
    assert (await ask(client, Tea)).parsed == Tea("green", 1)
    sent = server.requests[0].json["response_format"]["json_schema"]
    assert sent["strict"] is True
    assert sent["schema"]["required"] == ["kind", "cups"]


async def test_without_strict_the_schema_is_a_hint(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply('{"value": {"a": 1}}'))
    assert (await ask(client, dict[str, int], strict=False)).parsed == {"a": 1}
    schema = server.requests[0].json["response_format"]["json_schema"]
    assert schema["strict"] is False
    assert schema["schema"]["properties"]["value"]["additionalProperties"] == {"type": "integer"}


async def test_a_converter_of_ones_own_reads_the_answer(
    server: LocalServer, client: AsyncClient
) -> None:
    converter = make_converter()
    converter.register_structure_hook(complex, lambda value, _: complex(*value))
    number = Annotated[complex, Schema({"type": "array", "items": {"type": "number"}})]
    server.script(Reply('{"value": [1, 2]}'))
    assert (await ask(client, number, converter=converter)).parsed == 1 + 2j


async def test_each_of_several_answers_is_parsed(server: LocalServer, client: AsyncClient) -> None:
    body = {
        "id": "1",
        "object": "chat.completion",
        "choices": [
            {"index": n, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            for n, text in enumerate([STEP, STEP.replace("4", "5")])
        ],
    }
    server.script(Reply(json=body))
    completion = await ask(client, Step, n=2)
    parsed = [choice.message.parsed for choice in completion.choices]
    assert parsed == [Step("add", 4), Step("add", 5)]

    body["choices"][1]["message"]["content"] = STEP.replace("4", '"x"')  # type: ignore[index]
    server.script(Reply(json=body))
    with pytest.raises(APIResponseValidationError) as caught:
        await ask(client, Step, n=2)
    assert caught.value.path == "choices[1].output"


async def test_content_in_parts_is_read_as_its_text(
    server: LocalServer, client: AsyncClient
) -> None:
    message = {"role": "assistant", "content": [{"type": "text", "text": STEP}]}
    body = {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    server.script(Reply(json=body))
    assert (await ask(client, Step)).parsed == Step("add", 4)


async def test_a_refusal_is_no_value_and_no_error(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply(refusal="I cannot help with that."))
    completion = await ask(client, Step)
    assert completion.parsed is None
    assert completion.choices[0].message.refusal == "I cannot help with that."


async def test_an_answer_that_was_cut_off_is_an_error(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply('{"explanation": "ad', finish_reason="length"))
    with pytest.raises(LengthFinishReasonError, match="max_completion_tokens") as caught:
        await ask(client, Step, reask=3)
    assert caught.value.completion.text == '{"explanation": "ad'
    server.script(Reply('{"explanation": "ad', finish_reason="content_filter"))
    with pytest.raises(ContentFilterFinishReasonError) as filtered:
        await ask(client, Step)
    assert filtered.value.completion.choices[0].finish_reason == "content_filter"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (
            '{"explanation": "add"}',
            "output",
            "The answer does not match Step: output: it is missing.",
        ),
        ('{"explanation": 1, "output": 4}', "explanation", "explanation: expected str, got 1"),
        ("Sure! The output is 4.", "", "it is not JSON: 'Sure! The output is 4.'"),
        ("[]", "", "expected Step, got []"),
        ("", "", "The answer has no text, so there is no Step in it."),
        (" \n", "", "The answer has no text, so there is no Step in it."),
    ],
)
async def test_an_answer_that_does_not_fit_is_an_error(
    server: LocalServer, client: AsyncClient, content: str, path: str, message: str
) -> None:
    server.script(Reply(content))
    with pytest.raises(APIResponseValidationError) as caught:
        await ask(client, Step)
    error = caught.value
    assert message in error.message
    assert error.path == path
    assert error.completion is not None
    assert (error.completion.choices[0].message.content or "") == content
    assert error.body == error.completion.to_dict()
    assert error.status_code == 200
    assert error.request_id == error.completion.meta.request_id is not None


async def test_no_choices_are_no_answer(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply(json={"object": "chat.completion", "choices": []}), times=2)
    with pytest.raises(APIResponseValidationError, match="There are no choices, so"):
        await ask(client, Step)


async def test_errors_of_the_call_are_those_of_create(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(400, message="no"))
    with pytest.raises(BadRequestError):
        await ask(client, Step, reask=2)
    assert len(server.requests) == 1


async def test_a_parsed_completion_is_copied_and_pickled(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(STEP))
    completion = await ask(client, Step)
    for twin in (copy.copy(completion), copy.deepcopy(completion)):
        assert twin == completion
        assert twin.parsed == completion.parsed
    again = pickle.loads(pickle.dumps(completion))
    assert again.parsed == Step("add", 4)
    assert again.to_dict() == completion.to_dict()


# --- asking again ---------------------------------------------------------------------------------


async def test_the_complaint_is_sent_back_with_the_answer(
    server: LocalServer, client: AsyncClient
) -> None:
    wrong = '{"explanation": "add", "output": "four"}'
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    server.script(Reply(wrong), Reply(""), Reply(STEP, usage=usage))
    completion = await ask(client, Step, reask=2)
    assert completion.parsed == Step("add", 4)
    assert completion.usage is not None
    assert completion.usage.total_tokens == 10  # that of the last

    first, second, third = (request.json["messages"] for request in server.requests)
    assert first == HI
    assert second[0] == HI[0]
    assert second[1]["role"] == "assistant"
    assert second[1]["content"] == wrong
    assert second[2] == {
        "role": "user",
        "content": "The answer does not match Step: output: expected int, got 'four'. "
        "Answer again, with JSON that matches the schema.",
    }
    # An answer without content is not a valid message.
    assert third[:3] == second
    assert [message["role"] for message in third[3:]] == ["user"]
    assert HI == [{"role": "user", "content": "Hi"}]


async def test_the_last_misfit_is_raised(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply("1"), Reply("2"))
    with pytest.raises(APIResponseValidationError, match="expected Step, got 2"):
        await ask(client, Step, reask=1)
    assert len(server.requests) == 2


async def test_wrong_arguments_of_a_tool_are_answered_as_the_api_wants_it(
    server: LocalServer, client: AsyncClient
) -> None:
    def weather(city: str) -> str:
        return city

    calls = [
        {"id": "a", "name": "weather", "arguments": '{"city": 1}'},
        {"id": "b", "name": "weather", "arguments": '{"city": "Rome"}'},
    ]
    server.script(Reply(tool_calls=calls), Reply(STEP))
    completion = await ask(client, Step, tools=[weather], reask=1)
    assert completion.parsed == Step("add", 4)
    roles = [(m["role"], m.get("tool_call_id")) for m in server.requests[1].json["messages"]]
    assert roles == [("user", None), ("assistant", None), ("tool", "a"), ("tool", "b")]


# --- tools ----------------------------------------------------------------------------------------


async def test_the_arguments_of_tool_calls_are_parsed(
    server: LocalServer, client: AsyncClient
) -> None:
    def weather(city: str, unit: Literal["C", "F"] = "C") -> str:
        """The weather now."""
        return city + unit

    by_hand: Any = {"type": "function", "function": {"name": "by_hand", "parameters": {}}}
    calls = [
        {"id": "a", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"id": "b", "name": "search", "arguments": '{"city": "Rome", "unit": "F"}'},
        {"id": "c", "name": "by_hand", "arguments": "{}"},
    ]
    server.script(Reply(tool_calls=calls))
    completion = await client.chat.completions.parse(
        model="gpt-4o", messages=HI, tools=[weather, tool(weather, name="search"), by_hand]
    )
    assert completion.parsed is None
    found = completion.choices[0].message.tool_calls or []
    arguments = [call.parsed_arguments for call in found if call.type == "function"]
    assert all(isinstance(call, ParsedFunctionToolCall) for call in found)
    assert arguments == [{"city": "Rome"}, {"city": "Rome", "unit": "F"}, None]
    tools = server.requests[0].json["tools"]
    assert [t["function"]["name"] for t in tools] == ["weather", "search", "by_hand"]


async def test_arguments_that_do_not_fit_have_a_path(
    server: LocalServer, client: AsyncClient
) -> None:
    def weather(city: str) -> str:
        return city

    server.script(Reply(tool_calls=[{"id": "a", "name": "weather", "arguments": '{"city": 1}'}]))
    with pytest.raises(APIResponseValidationError) as caught:
        await ask(client, None, tools=[weather])
    assert caught.value.path == "tool_calls[0].function.arguments.city"
    assert (
        "The arguments for the tool weather do not match its parameters: city: expected str, got 1"
        in str(caught.value)
    )


# --- mistakes, before anything is sent ------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format is a dict: pass a type"),
        ({"response_format": "Step"}, "Step is 'Step', which is not a type"),
        ({"response_format": Step("", 1)}, "which is not a type: pass the class itself"),
        ({"response_format": bytes}, "bytes has type bytes, which has no JSON schema"),
        ({"response_format": dict[str, int]}, "dict with arbitrary keys"),
        ({"response_format": Step, "strict": "no"}, "strict is 'no': pass True or False"),
        ({"response_format": Step, "strict": 1}, "strict is 1: pass True or False"),
        ({"response_format": Step, "converter": "x"}, "converter is 'x': pass a cattrs converter"),
        ({"response_format": Step, "converter": Converter}, "pass a cattrs converter"),
        ({"response_format": Step, "reask": -1}, "reask is -1: pass how many times"),
        ({"response_format": Step, "reask": True}, "reask is True"),
        ({"response_format": Step, "reask": 1, "n": 2}, "reask needs a single answer"),
        ({"response_format": Step, "reask": 1, "stream": True}, "reask needs a single answer"),
        ({"response_format": Step, "messages": []}, "messages is empty"),
        ({"response_format": Step, "tools": "weather"}, "tools has type str"),
    ],
)
def test_mistakes_are_raised_by_the_call_itself(params: Any, message: str) -> None:
    client = AsyncClient(api_key="k", base_url="http://localhost:1")
    with pytest.raises(InvalidArgumentError, match=message):
        client.chat.completions.parse(**{"model": "m", "messages": HI, **params})


def test_a_misspelt_keyword_is_a_type_error() -> None:
    client = AsyncClient(api_key="k", base_url="http://localhost:1")
    misspelt: Any = {"temprature": 1}
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        client.chat.completions.parse(model="m", messages=HI, response_format=Step, **misspelt)


@pytest.mark.parametrize("kind", [Step, list[Step], Literal["a"]])
def test_create_names_parse(kind: Any) -> None:
    client = AsyncClient(api_key="k", base_url="http://localhost:1")
    with pytest.raises(InvalidArgumentError, match=r"use chat\.completions\.parse, not create"):
        _ = client.chat.completions.create(model="m", messages=HI, response_format=kind)
