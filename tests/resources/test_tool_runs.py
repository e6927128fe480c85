"""`client.chat.completions.run_tools`, over sockets; the server's answers are scripted."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any, Literal

import attrs
import pytest

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
    BadRequestError,
    InvalidArgumentError,
    LengthFinishReasonError,
    OpenAIError,
    StreamInterruptedError,
    ToolRoundsExceededError,
    ToolRun,
    tool,
)
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.types.chat import ChatCompletionMessage
from openai_async.types.chat_params import ChatCompletionMessageParam
from openai_async.types.parsed_chats import ParsedChatCompletion, ParsedFunctionToolCall
from openai_async.types.tool_steps import ToolResultStep, ToolStep

from ..raw_server import DONE, Exchange, RawServer, chunk, sse

pytestmark = pytest.mark.virtual_time

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


@attrs.frozen
class Weather:
    city: str
    degrees: float


async def weather(city: str, unit: Literal["C", "F"] = "C") -> Weather:
    """The weather now."""
    return Weather(city, 21.5 if unit == "C" else 70.7)


async def double(number: int) -> int:
    return 2 * number


def call(name: str, id: str = "", **arguments: object) -> dict[str, Any]:
    made = {"name": name, "arguments": json.dumps(arguments)}
    return {**made, "id": id} if id else made


def calling(*calls: dict[str, Any], **options: Any) -> Reply:
    return Reply(tool_calls=list(calls), **options)


def run(client: AsyncClient, *tools: Any, **options: Any) -> ToolRun[None]:
    options = {"model": "gpt-4o", "messages": HI, **options}
    return client.chat.completions.run_tools(tools=tools, **options)


def told(server: LocalServer, request: int = -1) -> list[str]:
    """What the model was told by the tools."""
    messages = server.requests[request].json["messages"]
    return [message["content"] for message in messages if message["role"] == "tool"]


async def steps_of(run: ToolRun[Any]) -> list[ToolStep[Any]]:
    return [step async for step in run]


async def awaited(run: ToolRun[Any]) -> object:
    return await run


def finish(client: AsyncClient, *tools: Any, stream: bool, **options: Any) -> Callable[[], Any]:
    """Both ways to go through a run."""
    made = run(client, *tools, **options)

    async def finished() -> ParsedChatCompletion[Any]:
        if stream:
            async for _ in made:
                pass
        return await made

    return finished


both = pytest.mark.parametrize("stream", [False, True], ids=["awaited", "iterated"])


# --- the loop -------------------------------------------------------------------------------------


@both
async def test_functions_are_called_until_the_model_is_done(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    server.script(
        calling(call("weather", city="Bern")), calling(call("double", number=4)), Reply("Mild.")
    )
    completion = await finish(client, weather, double, stream=stream)()
    assert isinstance(completion, ParsedChatCompletion)
    assert completion.text == "Mild."
    assert told(server) == ['{"city":"Bern","degrees":21.5}', "8"]
    assert len(server.requests) == 3
    sent = [request.json for request in server.requests]
    assert [one.get("stream", False) for one in sent] == [stream] * 3
    assert [tool["function"]["name"] for tool in sent[2]["tools"]] == ["weather", "double"]


async def test_the_messages_of_a_run_can_be_sent_on(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(calling(call("double", "c1", number=4)), Reply("Eight."), Reply("Bye."))
    talk = run(client, double)
    await talk
    assert len(HI) == 1
    assert [dict(m)["role"] if isinstance(m, dict) else m.role for m in talk.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert talk.messages[2] == {"role": "tool", "tool_call_id": "c1", "content": "8"}
    await client.chat.completions.create(model="gpt-4o", messages=talk.messages)
    assert server.requests[-1].json["messages"][3]["content"] == "Eight."


async def test_each_answer_is_kept_with_its_usage(client: AsyncClient, server: LocalServer) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    server.script(calling(call("double", number=4), usage=usage), Reply("Eight.", usage=usage))
    talk = run(client, double)
    await talk
    assert [one.usage.total_tokens for one in talk.completions if one.usage] == [7, 7]
    (made,) = talk.completions[0].tool_calls
    assert made.type == "function"
    assert made.parsed_arguments == {"number": 4}


@both
async def test_vendor_fields_of_a_message_are_sent_back(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    details = [{"type": "reasoning.encrypted", "data": "xyz"}]
    server.script(
        calling(call("double", number=4), extra={"reasoning_details": details}), Reply("Eight.")
    )
    await finish(client, double, stream=stream)()
    assert server.requests[1].json["messages"][1]["reasoning_details"] == details


async def test_iterating_gives_the_steps(client: AsyncClient, server: LocalServer) -> None:
    server.script(calling(call("weather", city="Bern"), content=None), Reply("It is mild."))
    steps = await steps_of(run(client, weather))
    assert [step.type for step in steps if step.type != "content.delta"] == [
        "tool_call",
        "tool_result",
        "completion",
    ]
    text = ""
    for step in steps:
        if step.type == "content.delta":
            text += step.delta
        elif step.type == "tool_call":
            assert step.call.parsed_arguments == {"city": "Bern"}
        elif step.type == "tool_result":
            assert step.value == Weather("Bern", 21.5)
            assert (step.content, step.error) == ('{"city":"Bern","degrees":21.5}', None)
        else:
            assert step.completion.text == text == "It is mild."


async def test_text_before_a_call_is_a_step_while_it_comes(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def begin(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Let me see.")))
        await raw.hung_up.wait()

    raw.answer = begin
    steps = aiter(run(raw_client, double))
    step = await anext(steps)
    assert step.type == "content.delta"
    assert step.delta == "Let me see."


@both
async def test_a_type_for_the_last_answer(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    server.script(calling(call("double", number=4)), Reply('{"city": "Bern", "degrees": 8}'))
    completion = await finish(client, double, stream=stream, response_format=Weather)()
    assert completion.parsed == Weather("Bern", 8.0)


@both
async def test_the_last_answer_may_begin_with_reasoning(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    text = '<think>\nIt is cold.\n</think>\n\n{"city": "Bern", "degrees": 8}'
    server.script(calling(call("double", number=4)), Reply(text))
    completion = await finish(client, double, stream=stream, response_format=Weather)()
    assert completion.parsed == Weather("Bern", 8.0)
    assert completion.text == text


async def test_a_last_answer_that_does_not_fit_is_an_error(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply('{"city": 5, "degrees": 8}'))
    with pytest.raises(APIResponseValidationError) as caught:
        await run(client, double, response_format=Weather)
    assert caught.value.path == "city"


@both
async def test_text_that_is_cut_off_is_returned_as_by_create(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    server.script(Reply("It is", finish_reason="length"))
    completion = await finish(client, double, stream=stream)()
    assert completion.choices[0].finish_reason == "length"


@both
async def test_calls_that_are_cut_off_are_not_made(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    server.script(calling(call("double", number=1), finish_reason="length"))
    with pytest.raises(LengthFinishReasonError):
        await finish(client, double, stream=stream)()


async def test_the_reason_to_finish_does_not_say_whether_there_are_calls(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(
        calling(call("double", number=4), finish_reason="stop"),
        Reply("Eight.", finish_reason="tool_calls"),
    )
    assert (await run(client, double)).text == "Eight."


async def test_an_answer_without_choices_ends_the_run(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.whole(b'{"choices": []}')
    talk = run(raw_client, double)
    assert (await talk).text == ""
    assert talk.messages == HI


@both
async def test_a_limit_on_rounds_raises_with_what_there_is(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    made: list[int] = []

    async def count(number: int) -> None:
        made.append(number)

    server.script(*(calling(call("count", number=n)) for n in range(3)))
    with pytest.raises(ToolRoundsExceededError, match="3 requests") as caught:
        await finish(client, count, stream=stream, max_rounds=3)()
    assert made == [0, 1]
    assert caught.value.completion.choices[0].message.tool_calls
    server.script(Reply("Done."))
    completion = await run(client, count, messages=caught.value.messages)
    assert completion.text == "Done."
    assert told(server) == ["", ""]


@pytest.mark.parametrize(
    ("choice", "later"),
    [
        ("required", "auto"),
        ({"type": "function", "function": {"name": "double"}}, "auto"),
        ("auto", "auto"),
        ("none", "none"),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
        ),
    ],
    ids=str,
)
async def test_a_choice_that_forces_a_call_forces_only_the_first(
    client: AsyncClient, server: LocalServer, choice: Any, later: Any
) -> None:
    """https://github.com/agno-agi/agno/issues/3291: the model called the tool for ever."""
    server.script(calling(call("double", number=4)), Reply("Eight."))
    await run(client, double, tool_choice=choice, parallel_tool_calls=False)
    sent = [request.json for request in server.requests]
    assert [one["tool_choice"] for one in sent] == [choice, later]
    assert [one["parallel_tool_calls"] for one in sent] == [False, False]


# --- calls at the same time -----------------------------------------------------------------------


@both
async def test_calls_run_at_the_same_time_and_their_results_are_in_order(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    second_is_done = asyncio.Event()

    async def first() -> str:
        await second_is_done.wait()
        return "first"

    async def second() -> str:
        second_is_done.set()
        return "second"

    server.script(calling(call("first", "a"), call("second", "b")), Reply("Done."))
    await finish(client, first, second, stream=stream)()
    messages = server.requests[1].json["messages"]
    assert [(m["tool_call_id"], m["content"]) for m in messages[2:]] == [
        ("a", "first"),
        ("b", "second"),
    ]


async def test_results_are_steps_as_they_come(client: AsyncClient, server: LocalServer) -> None:
    go_on = asyncio.Event()

    async def slow() -> None:
        await go_on.wait()

    async def quick() -> None: ...

    server.script(calling(call("slow"), call("quick")), Reply("Done."))
    names = []
    async for step in run(client, slow, quick):
        if step.type == "tool_result":
            names.append(step.call.function.name)
            go_on.set()
    assert names == ["quick", "slow"]


async def test_plain_functions_run_in_threads_and_do_not_block_the_loop(
    client: AsyncClient, server: LocalServer
) -> None:
    loop, goes_on = asyncio.get_running_loop(), threading.Event()
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")
    user.set("Ada")

    def blocking() -> str:
        loop.call_soon_threadsafe(goes_on.set)  # the loop has to run for this to end
        assert goes_on.wait(10)
        return user.get()

    server.script(calling(call("blocking")), Reply("Done."))
    await run(client, blocking)
    assert told(server) == ["Ada"]


async def test_a_plain_function_may_return_a_coroutine(
    client: AsyncClient, server: LocalServer
) -> None:
    def later(number: int) -> Any:
        return double(number)

    server.script(calling(call("later", number=4)), Reply("Done."))
    await run(client, later)
    assert told(server) == ["8"]


@both
@pytest.mark.parametrize(
    "ids", [("same", "same"), ("", ""), ("x", ""), ("", "call_0_0"), ("call_0_0", "")], ids=str
)
async def test_each_result_belongs_to_its_call_whatever_ids_a_server_sends(
    raw: RawServer, raw_client: AsyncClient, stream: bool, ids: tuple[str, str]
) -> None:
    """https://github.com/earendil-works/pi/pull/4853: an empty id is refused when it goes back."""
    calls = [
        {"index": n, "id": id, "type": "function", "function": call("double", number=n)}
        for n, id in enumerate(ids)
    ]
    answers: list[dict[str, object]] = [{"tool_calls": calls}, {"content": "Done."}]

    async def answer(exchange: Exchange) -> None:
        message: dict[str, Any] = {"role": "assistant", **answers[len(raw.exchanges) - 1]}
        if stream:
            await exchange.stream(chunk(finish="stop", **message), DONE)
        else:
            await exchange.whole(json.dumps({"choices": [{"message": message}]}).encode())

    raw.answer = answer
    await finish(raw_client, double, stream=stream)()
    messages = json.loads(raw.exchanges[-1].body)["messages"]
    sent = [one["id"] for one in messages[1]["tool_calls"]]
    assert len({*sent}) == 2
    assert all(sent)
    assert [(m["tool_call_id"], m["content"]) for m in messages[2:]] == [
        (sent[0], "0"),
        (sent[1], "2"),
    ]


# --- what a tool returns --------------------------------------------------------------------------


async def test_what_a_tool_returns_is_sent_as_text(
    client: AsyncClient, server: LocalServer
) -> None:
    results: list[object] = ["as it is", None, Weather("Bern", 1), [1, "é"], {"a": None}, True]

    async def result(number: int) -> object:
        return results[number]

    calls = [call("result", number=n) for n in range(len(results))]
    server.script(calling(*calls), Reply("Done."))
    await run(client, result)
    assert told(server) == [
        *("as it is", "", '{"city":"Bern","degrees":1}', '[1,"é"]', '{"a":null}', "true"),
    ]


# --- failures -------------------------------------------------------------------------------------


async def failing() -> None:
    msg = "secret /etc/passwd"
    raise KeyError(msg)


def failing_in_a_thread() -> None:
    next(iter(()))


async def odd() -> object:
    return object()


@pytest.mark.parametrize(
    ("wanted", "said", "error"),
    [
        (call("failing"), "The tool failing failed: KeyError.", KeyError),
        (
            call("failing_in_a_thread"),
            "The tool failing_in_a_thread failed: RuntimeError.",
            RuntimeError,
        ),
        (call("odd"), "The tool odd failed: TypeError.", TypeError),
        (
            call("double", number="four"),
            "The arguments for the tool double do not match its parameters: "
            "number: expected int, got 'four'.",
            APIResponseValidationError,
        ),
        (
            call("double"),
            "The arguments for the tool double do not match its parameters: number: it is missing.",
            APIResponseValidationError,
        ),
        (
            {"name": "double", "arguments": '{"number": 4'},
            "The arguments for the tool double do not match its parameters: "
            "it is not JSON: '{\"number\": 4'.",
            APIResponseValidationError,
        ),
        (
            call("treble", number=4),
            "There is no tool 'treble'. "
            "Available tools: double, failing, failing_in_a_thread, odd.",
            LookupError,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@both
async def test_a_failure_is_told_to_the_model_in_safe_words_and_to_the_hook(
    client: AsyncClient,
    server: LocalServer,
    wanted: dict[str, Any],
    said: str,
    error: type[Exception],
    stream: bool,
) -> None:
    heard: list[tuple[str, type[Exception]]] = []

    def hook(call: ParsedFunctionToolCall, error: Exception) -> None:
        heard.append((call.function.name, type(error)))

    server.script(calling(wanted, call("double", number=4)), Reply("Sorry."))
    tools = (double, failing, failing_in_a_thread, odd)
    await finish(client, *tools, stream=stream, on_tool_error=hook)()
    assert told(server) == [said, "8"]
    ((name, kind),) = heard
    assert name == wanted["name"]
    assert issubclass(kind, error)


@pytest.mark.parametrize("arguments", ["", " ", "null", "{}"])
async def test_a_function_without_parameters_is_called_with_whatever_stands_for_none(
    client: AsyncClient, server: LocalServer, arguments: str
) -> None:
    async def now() -> str:
        return "noon"

    server.script(calling({"name": "now", "arguments": arguments}), Reply("Noon."))
    await run(client, now)
    assert told(server) == ["noon"]


@pytest.mark.parametrize(
    "arguments", ["[4]", "4", '"four"', "true", "x" * 100_000, '{"number": 4}{}']
)
async def test_arguments_that_are_no_object_are_told_in_a_few_words(
    client: AsyncClient, server: LocalServer, arguments: str
) -> None:
    """https://github.com/lsdefine/GenericAgent/pull/746: they ended the task; and a call may be
    right where another of the same tool is wrong:
    https://github.com/NousResearch/hermes-agent/issues/84698
    """
    wrong = {"name": "double", "arguments": arguments}
    server.script(calling(wrong, call("double", number=4)), Reply("Sorry."))
    await run(client, double)
    said, right = told(server)
    assert said.startswith("The arguments for the tool double do not match its parameters: ")
    assert len(said) < 300
    assert right == "8"


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_tool_may_have_an_argument_called_self(
    client: AsyncClient, server: LocalServer, threaded: bool
) -> None:
    async def greet(text: str, self: str) -> str:
        return f"{text} {self}"

    def greet_in_a_thread(text: str, self: str) -> str:
        return f"{text} {self}"

    function = greet_in_a_thread if threaded else greet
    server.script(calling(call(function.__name__, text="Hi", self="me")), Reply("Done."))
    await run(client, function)
    assert told(server) == ["Hi me"]


async def test_without_a_hook_the_exception_is_logged(
    client: AsyncClient, server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(calling(call("failing")), Reply("Sorry."))
    steps = await steps_of(run(client, failing))
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert record.getMessage() == "A tool call failed. The tool failing failed: KeyError."
    assert record.exc_info
    (result,) = [step for step in steps if isinstance(step, ToolResultStep)]
    assert isinstance(result.error, KeyError)


@pytest.mark.parametrize("wrong", [call("square"), call("cube")], ids=str)
async def test_a_mistake_of_the_model_is_logged_without_a_traceback(
    client: AsyncClient,
    server: LocalServer,
    caplog: pytest.LogCaptureFixture,
    wrong: dict[str, Any],
) -> None:
    async def square(x: int) -> int:
        return x * x

    server.script(calling(wrong), Reply("Sorry."))
    await run(client, square)
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert record.getMessage().startswith("A tool call failed. ")
    assert record.exc_info is None


async def test_a_hook_may_say_something_else(client: AsyncClient, server: LocalServer) -> None:
    async def hook(call: ParsedFunctionToolCall, error: Exception) -> str:
        return f"{call.function.name}: try later"

    server.script(calling(call("failing")), Reply("Sorry."))
    await run(client, failing, on_tool_error=hook)
    assert told(server) == ["failing: try later"]


@pytest.mark.parametrize(
    ("answer", "text"), [(5, "5"), ({"try": "later"}, '{"try":"later"}'), ("\ud800", "?")]
)
async def test_what_a_hook_returns_is_written_as_a_result_is(
    client: AsyncClient, server: LocalServer, answer: Any, text: str
) -> None:
    server.script(calling(call("failing")), Reply("Sorry."))
    await run(client, failing, on_tool_error=lambda *_: answer)
    assert told(server) == [text]


async def test_a_hook_that_returns_what_cannot_be_written_is_named(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(calling(call("failing")))
    wrong: Any = object()
    said = "on_tool_error returned object, which cannot be written as JSON: return text or None"
    with pytest.raises(InvalidArgumentError, match=said):
        await run(client, failing, on_tool_error=lambda *_: wrong)
    assert len(server.requests) == 1


@both
async def test_a_hook_that_raises_ends_the_run_and_the_other_calls(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    waiting = Waiting()

    def hook(call: ParsedFunctionToolCall, error: Exception) -> None:
        raise PermissionError from error

    async def fail() -> None:
        await waiting.begun.wait()
        raise KeyError

    server.script(calling(call("wait"), call("fail")))
    with pytest.raises(PermissionError) as caught:
        await finish(client, waiting.wait, fail, stream=stream, on_tool_error=hook)()
    assert isinstance(caught.value.__cause__, KeyError)
    assert waiting.ended == ["cancelled"]
    assert len(server.requests) == 1


@both
async def test_a_tool_that_takes_too_long_is_cancelled(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    waiting = Waiting()
    server.script(calling(call("wait")), Reply("Sorry."))
    began = asyncio.get_running_loop().time()
    heard: list[Exception] = []
    await finish(
        client,
        waiting.wait,
        stream=stream,
        tool_timeout=5,
        on_tool_error=lambda _, error: heard.append(error),
    )()
    assert asyncio.get_running_loop().time() - began == pytest.approx(5, abs=0.5)
    assert told(server) == ["The tool wait did not finish within 5 s."]
    assert waiting.ended == ["cancelled"]
    assert isinstance(heard[0], TimeoutError)


async def test_a_timeout_of_the_tool_itself_is_a_failure_like_any_other(
    client: AsyncClient, server: LocalServer
) -> None:
    async def slow() -> None:
        raise TimeoutError

    server.script(calling(call("slow")), Reply("Sorry."))
    await run(client, slow, tool_timeout=5, on_tool_error=lambda *_: None)
    assert told(server) == ["The tool slow failed: TimeoutError."]


async def test_a_request_that_fails_ends_the_run(client: AsyncClient, server: LocalServer) -> None:
    server.script(calling(call("double", number=4)), Failure(400, message="No."))
    talk = run(client, double)
    with pytest.raises(BadRequestError):
        await talk
    assert len(talk.messages) == 3  # what has been paid for is not lost
    server.script(Reply("Eight."))
    assert (await run(client, double, messages=talk.messages)).text == "Eight."


async def test_a_stream_that_breaks_off_ends_the_run(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(calling(call("double", number=4)), Failure(cut_after=2))
    talk = run(client, double)
    with pytest.raises(StreamInterruptedError) as caught:
        await steps_of(talk)
    assert caught.value.partial is not None
    assert len(talk.messages) == 3


# --- leaving and cancelling -----------------------------------------------------------------------


class Waiting:
    """A tool that waits until it is cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cleaning = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.ended: list[str] = []

    async def wait(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cleaning.set()
            await self.may_end.wait()
            self.ended.append("cancelled")
            raise

    async def wait_too(self) -> None:
        await self.wait()


@both
async def test_cancelling_cancels_the_tools_and_waits_for_them(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    waiting = Waiting()
    waiting.may_end.clear()
    server.script(calling(call("wait"), call("wait_too")))
    run = finish(client, waiting.wait, waiting.wait_too, stream=stream)
    task = asyncio.create_task(run())
    await waiting.begun.wait()
    task.cancel()
    await waiting.cleaning.wait()
    await asyncio.sleep(1)
    task.cancel()  # once more does not make it leave them alone
    await asyncio.sleep(1)
    assert not task.done()
    waiting.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert waiting.ended == ["cancelled", "cancelled"]


async def test_cancelling_during_a_request_hangs_up(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(delay=60))
    task = asyncio.ensure_future(run(client, double))
    request = await server.received()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await request.finished()
    assert request.disconnected


@pytest.mark.parametrize("held", [False, True], ids=["alone", "held by name"])
async def test_leaving_the_loop_cancels_the_tools_at_once(
    client: AsyncClient, server: LocalServer, held: bool
) -> None:
    waiting = Waiting()
    server.script(calling(call("wait"), call("double", number=4)))
    talk = run(client, waiting.wait, double)
    kept = talk if held else None
    gc.disable()
    try:
        async for step in talk:
            if step.type == "tool_result":
                break
        (task,) = [one for one in asyncio.all_tasks() if "answer" in repr(one.get_coro())]
        assert task.cancelling() == 1  # without waiting for anything
        await asyncio.wait([task])
    finally:
        gc.enable()
    assert waiting.ended == ["cancelled"]
    assert len(server.requests) == 1
    assert kept is None or "left" in repr(kept)


async def test_an_exception_in_the_loop_cancels_the_tools(
    client: AsyncClient, server: LocalServer
) -> None:
    waiting = Waiting()
    server.script(calling(call("wait"), call("double", number=4)))
    with pytest.raises(ZeroDivisionError):
        async for step in run(client, waiting.wait, double):
            if step.type == "tool_result":
                raise ZeroDivisionError
    await asyncio.wait_for(waiting.cleaning.wait(), 1)


async def test_async_with_waits_until_the_tools_have_ended(
    client: AsyncClient, server: LocalServer
) -> None:
    waiting = Waiting()
    server.script(calling(call("wait"), call("double", number=4)))
    async with run(client, waiting.wait, double) as talk:
        async for step in talk:
            if step.type == "tool_result":
                break
    assert waiting.ended == ["cancelled"]


async def test_leaving_the_loop_during_text_hangs_up(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(stall_after=2))
    talk = run(client, double)
    async for step in talk:
        assert step.type == "content.delta"
        break
    request = await server.received()
    await request.finished()
    assert request.disconnected
    with pytest.raises(OpenAIError, match="stopped before its end"):
        await talk


async def test_closing_hangs_up_while_the_iterator_is_still_there(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(stall_after=2))
    talk = run(client, double)
    steps = aiter(talk)
    await anext(steps)
    await talk.aclose()
    request = await server.received()
    await request.finished()
    assert request.disconnected
    with pytest.raises(OpenAIError, match="stopped before its end"):
        await anext(steps)


async def test_a_call_starts_when_the_next_step_is_asked_for(
    client: AsyncClient, server: LocalServer
) -> None:
    """So a program may look at a call, ask its user, and leave."""
    made: list[str] = []

    async def delete(path: str) -> None:
        made.append(path)

    server.script(calling(call("delete", path="/")))
    async with run(client, delete) as talk:
        async for step in talk:
            assert step.type == "tool_call"
            await asyncio.sleep(5)
            break
    assert made == []


async def test_a_run_closed_by_another_task_says_so(
    client: AsyncClient, server: LocalServer
) -> None:
    waiting = Waiting()
    server.script(calling(call("wait")))
    talk = run(client, waiting.wait)
    task = asyncio.create_task(steps_of(talk))
    await waiting.begun.wait()
    await talk.aclose()
    with pytest.raises(OpenAIError, match="stopped before its end"):
        await task
    assert waiting.ended == ["cancelled"]


async def test_closing_aborts_a_request_that_is_not_streamed(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(stall_after=2))
    talk = run(client, double)
    task = asyncio.create_task(awaited(talk))
    request = await server.received()
    await talk.aclose()
    await request.finished()
    assert request.disconnected
    with pytest.raises(OpenAIError, match="stopped before its end"):
        await task


async def test_cancelling_ends_a_request_that_is_not_streamed(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(stall_after=2))
    task = asyncio.create_task(awaited(run(client, double)))
    request = await server.received()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await request.finished()
    assert request.disconnected


@both
async def test_a_cancellation_that_nobody_asked_for_is_a_failed_call(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    """In a TaskGroup it would end the caller without a word; the tool awaits what others cancel."""
    shared = asyncio.get_running_loop().create_future()
    shared.cancel()

    async def cached() -> None:
        await shared

    async def cancelling() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    heard: list[Exception] = []
    server.script(
        calling(call("cached"), call("cancelling"), call("double", number=4)), Reply(":)")
    )
    await finish(
        client,
        *(cached, cancelling, double),
        stream=stream,
        on_tool_error=lambda _, error: heard.append(error),
    )()
    failed = "The tool {} failed: CancelledError."
    assert told(server) == [failed.format("cached"), failed.format("cancelling"), "8"]
    for error in heard:
        assert isinstance(error, OpenAIError)
        assert isinstance(error.__cause__, asyncio.CancelledError)
    assert len(heard) == 2


async def test_a_cancellation_of_the_run_itself_is_one_even_if_a_tool_was_cancelled_first(
    client: AsyncClient, server: LocalServer
) -> None:
    """As at the end of `asyncio.run`, which cancels all tasks."""
    waiting = Waiting()
    server.script(calling(call("wait")))
    task = asyncio.ensure_future(run(client, waiting.wait))
    await waiting.begun.wait()
    for one in asyncio.all_tasks() - {asyncio.current_task()}:
        if "answer" in repr(one.get_coro()):
            one.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(server.requests) == 1


def group(*errors: BaseException) -> BaseExceptionGroup:
    return BaseExceptionGroup("several", [ValueError(), BaseExceptionGroup("inner", errors)])


@both
async def test_a_group_of_exceptions_that_are_no_errors_is_a_failed_call(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    heard: list[Exception] = []

    async def grouping() -> None:
        raise group(asyncio.CancelledError())

    server.script(calling(call("grouping")), Reply("Sorry."))
    hook = lambda _, error: heard.append(error)  # noqa: E731
    await finish(client, grouping, stream=stream, on_tool_error=hook)()
    assert told(server) == ["The tool grouping failed: BaseExceptionGroup."]
    assert isinstance(heard[0], OpenAIError)
    assert isinstance(heard[0].__cause__, BaseExceptionGroup)


async def test_a_tool_may_wrap_its_cancellation_in_a_group(
    client: AsyncClient, server: LocalServer
) -> None:
    """It is a cancellation all the same, and a call that took too long."""
    waiting = Waiting()

    async def grouping() -> None:
        try:
            await waiting.wait()
        except asyncio.CancelledError as error:
            raise group(error) from None

    server.script(calling(call("grouping")), Reply("Sorry."), calling(call("grouping")))
    await run(client, grouping, tool_timeout=5, on_tool_error=lambda *_: None)
    assert told(server) == ["The tool grouping did not finish within 5 s."]
    waiting.begun.clear()
    heard: list[Exception] = []
    hook = lambda _, error: heard.append(error)  # noqa: E731
    task = asyncio.ensure_future(run(client, grouping, on_tool_error=hook))
    await waiting.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == []


async def test_a_run_dropped_in_another_thread_cancels_the_tools_in_their_own(
    client: AsyncClient, server: LocalServer
) -> None:
    """The garbage collector runs anywhere. In debug mode, asyncio refuses other threads."""
    asyncio.get_running_loop().set_debug(True)
    waiting = Waiting()
    server.script(calling(call("wait"), call("double", number=4)))
    held = [aiter(run(client, waiting.wait, double))]
    while (await anext(held[0])).type != "tool_result":
        pass
    await asyncio.to_thread(held.clear)
    await asyncio.wait_for(waiting.cleaning.wait(), 1)


def test_a_run_may_be_dropped_after_the_loop_was_closed() -> None:
    held: list[Any] = []

    async def main() -> None:
        async with (
            LocalServer() as server,
            AsyncClient(base_url=server.url, api_key="local") as client,
        ):
            server.script(calling(call("wait"), call("double", number=4)))
            held.append(aiter(run(client, Waiting().wait, double)))
            while (await anext(held[0])).type != "tool_result":
                pass

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()  # without cancelling what still runs
    held.clear()


async def test_only_one_task_may_wait_for_the_next_step(
    client: AsyncClient, server: LocalServer
) -> None:
    waiting = Waiting()
    server.script(calling(call("wait")))
    steps = aiter(run(client, waiting.wait))
    await anext(steps)
    first = asyncio.ensure_future(anext(steps))
    await waiting.begun.wait()
    with pytest.raises(OpenAIError, match="iterate in one task"):
        await anext(steps)
    assert not first.done()
    first.cancel()
    await asyncio.wait([first])


async def test_a_run_is_gone_through_once(client: AsyncClient, server: LocalServer) -> None:
    waiting = Waiting()
    server.script(calling(call("wait")))
    talk = run(client, waiting.wait)
    task = asyncio.ensure_future(talk)
    await waiting.begun.wait()
    with pytest.raises(OpenAIError, match="already begun"):
        await talk
    with pytest.raises(OpenAIError, match="already begun"):
        await steps_of(talk)
    assert not task.done()  # the others have not disturbed it
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(OpenAIError, match="stopped before its end"):
        await talk


@both
async def test_a_run_that_has_ended_was_not_left(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    server.script(Reply("Hello."))
    talk = run(client, double)
    await (steps_of(talk) if stream else talk)
    with pytest.raises(OpenAIError, match="already begun"):
        await steps_of(talk)
    await talk.aclose()
    assert (await talk).text == "Hello."
    with pytest.raises(OpenAIError, match="already begun"):
        await steps_of(talk)


async def test_an_iterator_that_was_not_used_leaves_nothing(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply("Hello."))
    talk = run(client, double)
    aiter(talk)
    assert (await talk).text == "Hello."


async def test_a_finished_run_is_freed_without_the_garbage_collector(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(calling(call("double", number=4)), Reply("Eight."))
    talk = run(client, double)
    await steps_of(talk)
    await asyncio.sleep(0)
    ref = weakref.ref(talk)
    gc.disable()
    try:
        del talk
        assert ref() is None
    finally:
        gc.enable()


# --- tools that are not ours ----------------------------------------------------------------------


@both
async def test_calls_of_tools_without_a_function_are_the_callers(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    approve: Any = {"type": "function", "function": {"name": "approve", "parameters": {}}}
    custom = {"type": "custom", "id": "c3", "custom": {"name": "sql", "input": "SELECT"}}
    server.script(calling(call("double", "c1", number=4), call("approve", "c2"), custom))
    made = client.chat.completions.run_tools(
        model="gpt-4o",
        messages=HI,
        tools=[double, approve, {"type": "custom", "custom": {"name": "sql"}}],
    )
    if stream:
        await steps_of(made)
    completion = await made
    calls = completion.choices[0].message.tool_calls or []
    assert [one.id for one in calls] == ["c1", "c2", "c3"]
    assert made.messages[2:] == [{"role": "tool", "tool_call_id": "c1", "content": "8"}]
    answers: list[ChatCompletionMessageParam] = [
        {"role": "tool", "tool_call_id": one.id, "content": "yes"} for one in calls[1:]
    ]
    server.script(Reply("Done."))
    assert (await run(client, double, messages=[*made.messages, *answers])).text == "Done."


async def test_calls_of_dict_tools_alone_end_the_run(
    client: AsyncClient, server: LocalServer
) -> None:
    approve = {"type": "function", "function": {"name": "approve", "parameters": {}}}
    server.script(calling({"name": "approve", "arguments": "not JSON"}))
    talk = run(client, approve)
    completion = await talk
    assert completion.choices[0].message.tool_calls
    assert isinstance(talk.messages[-1], ChatCompletionMessage)
    assert len(talk.messages) == 2


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tools": []}, "run_tools needs tools"),
        ({"n": 2}, "leave out n"),
        ({"extra_body": {"n": 2}}, "leave out n"),
        ({"max_rounds": 0}, "max_rounds is 0"),
        ({"max_rounds": True}, "max_rounds is True"),
        ({"tool_timeout": 0}, "tool_timeout is 0"),
        ({"tool_timeout": float("nan")}, "tool_timeout is nan"),
        ({"tool_timeout": "5"}, "tool_timeout is '5'"),
        ({"messages": []}, "messages is empty"),
        ({"response_format": {"type": "text"}}, "pass a type"),
        ({"tools": [double, tool(weather, name="double")]}, "Two tools are called 'double'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
async def test_wrong_arguments_are_refused_at_once(
    client: AsyncClient, wrong: dict[str, Any], said: str
) -> None:
    arguments: dict[str, Any] = {"model": "m", "messages": HI, "tools": [double], **wrong}
    with pytest.raises(InvalidArgumentError, match=said):
        client.chat.completions.run_tools(**arguments)


async def test_stream_is_no_argument(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match=r"^run_tools\(\) got an unexpected keyword argument"):
        run(client, double, stream=True)


@pytest.mark.parametrize("how", ["break", "async with"])
async def test_leaving_a_run_lets_its_tools_clean_up(
    client: AsyncClient, server: LocalServer, how: str
) -> None:
    cleaned, clean = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            clean.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            cleaned.set()

    server.script(calling(call("slow"), call("double", number=1)))
    talk = run(client, slow, double)
    if how == "break":
        async for step in talk:
            if step.type == "tool_result":
                break
        await clean.wait()
        await talk.aclose()
    else:
        async with talk:
            async for step in talk:
                if step.type == "tool_result":
                    break
    assert cleaned.is_set()
