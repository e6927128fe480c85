"""`Conversation`: what is kept, what is sent, and what a turn that fails leaves behind."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from openai_async import (
    APIError,
    AsyncClient,
    ConflictError,
    Conversation,
    InvalidArgumentError,
    OpenAIError,
    StreamInterruptedError,
)
from openai_async.testing import Failure, LocalServer, Reply

from .raw_server import DONE, RawServer, chunk


@pytest.fixture
async def conversation(server: LocalServer) -> AsyncIterator[Conversation]:
    async with AsyncClient(base_url=server.url, api_key="local", max_retries=0) as client:
        yield Conversation(client, model="gpt-4o-mini")


def sent(server: LocalServer) -> list[dict[str, Any]]:
    """The messages of the last request."""
    messages: list[dict[str, Any]] = server.requests[-1].json["messages"]
    return messages


def words(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages]


# --- what is kept and sent ---


async def test_each_turn_sends_what_was_said_before(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Reply("Hello!"), Reply("You said Hi."))
    await conversation.say("Hi")
    reply = await conversation.say("What did I say?")
    assert reply.text == "You said Hi."
    assert words(sent(server)) == [
        ("user", "Hi"),
        ("assistant", "Hello!"),
        ("user", "What did I say?"),
    ]


async def test_a_streamed_turn_is_kept_like_any_other(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Reply("Hello you!"))
    assert "".join([text async for text in conversation.stream("Hi")]) == "Hello you!"
    assert words(conversation.messages) == [("user", "Hi"), ("assistant", "Hello you!")]


async def test_the_system_message_stands_before_the_history_and_is_not_in_it(
    server: LocalServer, conversation: Conversation
) -> None:
    conversation.system = "Be brief."
    await conversation.say("Hi")
    assert words(sent(server)) == [("system", "Be brief."), ("user", "Hi")]
    assert [message["role"] for message in conversation.messages] == ["user", "assistant"]


async def test_pictures_go_with_the_text(server: LocalServer, conversation: Conversation) -> None:
    await conversation.say("What is this?", images=[Image.new("RGB", (8, 8))])
    text, picture = sent(server)[0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")


async def test_a_turn_may_have_parameters_of_its_own(
    server: LocalServer,
) -> None:
    async with AsyncClient(base_url=server.url, api_key="local") as client:
        conversation = Conversation(client, model="gpt-4o-mini", temperature=0.5, seed=1)
        await conversation.say("Hi", temperature=1)
    assert server.requests[-1].json["temperature"] == 1
    assert server.requests[-1].json["seed"] == 1


@pytest.mark.parametrize("tools", [False, True])
async def test_an_answer_may_be_a_value_of_a_type(
    server: LocalServer, client: AsyncClient, tools: bool
) -> None:
    conversation = Conversation(client, model="gpt-4o-mini", tools=[rain] if tools else [])
    server.script(Reply('{"value": [1, 2]}'))
    reply = await conversation.say("Count to two.", response_format=list[int])
    assert reply.parsed == [1, 2]
    assert words(conversation.messages)[1] == ("assistant", '{"value": [1, 2]}')


async def test_a_dict_is_no_type_for_an_answer(
    server: LocalServer, conversation: Conversation
) -> None:
    with pytest.raises(InvalidArgumentError, match="pass a type"):
        await conversation.say("Hi", response_format={"type": "json_object"})
    assert server.requests == []
    await conversation.say("Hi", extra_body={"response_format": {"type": "json_object"}})


# --- the budget ---


def one_token_a_word(messages: Sequence[Mapping[str, Any]]) -> float:
    return sum(len(message["content"].split()) for message in messages)


async def test_the_oldest_turns_stay_behind_when_the_budget_is_used_up(
    server: LocalServer, conversation: Conversation
) -> None:
    async with AsyncClient(base_url=server.url, api_key="local") as client:
        conversation = Conversation(
            client,
            model="gpt-4o-mini",
            system="Be brief",
            max_tokens=8,
            count_tokens=one_token_a_word,
        )
        server.script(Reply("A1 a"), Reply("A2 a"), Reply("A3 a"))
        for question in ("Q1", "Q2", "Q3"):
            await conversation.say(question)
    # 2 for the system message, 1 for the question; a whole turn has 3, of which one fits.
    assert words(sent(server)) == [
        ("system", "Be brief"),
        ("user", "Q2"),
        ("assistant", "A2 a"),
        ("user", "Q3"),
    ]
    assert len(conversation.messages) == 6


async def test_a_question_over_the_budget_is_sent_alone(
    server: LocalServer,
) -> None:
    async with AsyncClient(base_url=server.url, api_key="local") as client:
        conversation = Conversation(client, model="gpt-4o-mini", max_tokens=1)
        await conversation.say("Hi")
        await conversation.say("A question that is longer than one token")
    assert len(sent(server)) == 1


async def test_calls_and_their_results_stay_behind_together(server: LocalServer) -> None:
    async with AsyncClient(base_url=server.url, api_key="local") as client:
        conversation = Conversation(client, model="gpt-4o-mini", max_tokens=3, count_tokens=len)
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        conversation.messages = [
            {"role": "user", "content": "Q1"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
            {"role": "assistant", "content": "A1"},
        ]
        await conversation.say("Q2")
    assert words(sent(server)) == [("user", "Q2")]


def test_a_budget_of_nothing_is_refused(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match="max_tokens is 0: pass a positive number"):
        Conversation(client, model="gpt-4o-mini", max_tokens=0)


async def async_count(messages: Sequence[Any]) -> float:
    return len(messages)


@pytest.mark.parametrize(
    ("count", "returned"),
    [
        (lambda messages: str(len(messages)), "'0'"),
        (async_count, "a coroutine"),
        (lambda messages: -1, "-1"),
        (lambda messages: None, "None"),
    ],
    ids=["text", "async", "negative", "nothing"],
)
async def test_a_count_that_is_not_a_number_is_refused(
    server: LocalServer, client: AsyncClient, count: Any, returned: str
) -> None:
    conversation = Conversation(client, model="gpt-4o-mini", max_tokens=9, count_tokens=count)
    said = f"count_tokens returned {returned}: pass a plain function that returns a number"
    with pytest.raises(InvalidArgumentError, match=said):
        await conversation.say("Hi")
    assert server.requests == []


# --- turns that do not succeed ---


async def test_a_failed_turn_leaves_the_history_as_it_was(
    server: LocalServer, conversation: Conversation
) -> None:
    await conversation.say("Hi")
    before = list(conversation.messages)
    server.script(Failure(status=500))
    with pytest.raises(APIError):
        await conversation.say("Again")
    assert conversation.messages == before
    await conversation.say("And again")
    assert [text for role, text in words(sent(server)) if role == "user"] == ["Hi", "And again"]


async def test_an_interrupted_turn_leaves_what_came_in_partial(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Failure(cut_after=3))
    with pytest.raises(StreamInterruptedError):
        async for _ in conversation.stream("Hi"):
            pass
    assert conversation.messages == []
    assert conversation.partial is not None
    assert conversation.partial.text


@pytest.mark.parametrize("how", ["break", "aclose"])
async def test_a_turn_that_is_left_early_hangs_up_and_leaves_what_came_in_partial(
    server: LocalServer, conversation: Conversation, how: str
) -> None:
    server.script(Failure(stall_after=3))
    if how == "break":
        async for _ in conversation.stream("Hi"):
            break
    else:
        turn: Any = conversation.stream("Hi")
        async with aclosing(turn):
            await anext(turn)
        del turn
    async with asyncio.timeout(10):
        await server.requests[-1].finished()
    assert server.requests[-1].disconnected
    assert conversation.messages == []
    assert conversation.partial is not None
    assert conversation.partial.text
    await conversation.say("Hello?")  # the next turn can begin


async def test_a_cancelled_turn_leaves_the_history_as_it_was(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Failure(delay=600))
    turn = asyncio.create_task(conversation.say("Hi"))
    await server.received(1)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert conversation.messages == []
    assert conversation.partial is None  # the answer would have arrived as a whole
    await conversation.say("Hello?")


async def test_two_turns_at_once_are_refused(
    server: LocalServer, conversation: Conversation
) -> None:
    first = conversation.stream("Hi")
    await anext(first)
    with pytest.raises(ConflictError, match="in the middle of a turn"):
        await conversation.say("And?")
    async for _ in first:
        pass
    assert len(conversation.messages) == 2


async def test_a_picture_that_cannot_be_read_ends_the_turn_before_anything_is_sent(
    server: LocalServer, conversation: Conversation
) -> None:
    with pytest.raises(InvalidArgumentError):
        await conversation.say("What is this?", images=["no-such-file.png"])
    assert server.requests == []
    await conversation.say("Hi")


@pytest.mark.parametrize(
    "images",
    ["cat.png", b"GIF89a", Path("cat.png"), io.BytesIO(b"GIF89a"), None],
    ids=lambda value: type(value).__name__,
)
async def test_a_picture_that_is_not_in_a_list_is_refused(
    server: LocalServer, conversation: Conversation, images: Any
) -> None:
    said = rf'images has type {type(images).__name__}: pass a list of pictures, as in images=\["cat'
    with pytest.raises(InvalidArgumentError, match=said):
        await conversation.say("What is this?", images=images)
    with pytest.raises(InvalidArgumentError, match=said):
        await anext(conversation.stream("What is this?", images=images))
    assert server.requests == []


async def test_a_turn_without_an_answer_ends_and_the_next_can_begin(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    conversation = Conversation(raw_client, model="m")
    raw.answer = lambda exchange: exchange.stream(
        {"choices": [], "usage": {"total_tokens": 1}}, DONE
    )
    with pytest.raises(OpenAIError):
        async for _ in conversation.stream("Hi"):
            pass
    assert conversation.messages == []
    raw.answer = lambda exchange: exchange.stream(chunk("Hello"), DONE)
    assert "".join([text async for text in conversation.stream("Hi")]) == "Hello"


async def test_an_empty_answer_is_kept_as_a_message_that_can_be_sent(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Reply(""))
    await conversation.say("Hi")
    assert conversation.messages[-1]["content"] == ""


async def test_streamed_turns_follow_one_another(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Reply("One."), Reply("Two."), Reply("Three."))
    for question in ("1", "2", "3"):
        async for _ in conversation.stream(question):
            pass
    assert [content for _, content in words(conversation.messages)] == [
        *("1", "One.", "2", "Two.", "3", "Three."),
    ]


async def test_leaving_the_loop_ends_the_turn_even_if_the_stream_is_held(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Failure(stall_after=3))
    turn = conversation.stream("Hi")
    async for _ in turn:
        break
    async with asyncio.timeout(10):
        await server.requests[-1].finished()
    assert server.requests[-1].disconnected
    await conversation.say("Hello?")
    with pytest.raises(OpenAIError, match="This turn was stopped before its end"):
        await anext(turn)
    assert len(conversation.messages) == 2


async def test_a_turn_that_is_closed_while_another_task_reads_it_fails_there(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Failure(stall_after=3))
    turn = conversation.stream("Hi")
    first = asyncio.Event()

    async def read() -> None:
        async for _ in turn:
            first.set()

    reader = asyncio.create_task(read())
    await first.wait()
    await turn.aclose()
    with pytest.raises(OpenAIError, match="closed before its end"):
        await reader
    await conversation.say("Hello?")
    assert conversation.messages[0]["content"] == "Hello?"


async def test_a_turn_has_one_reader(server: LocalServer, conversation: Conversation) -> None:
    server.script(Failure(stall_after=3))
    async with conversation.stream("Hi") as turn:
        text = await anext(turn)
        assert text
        reader = asyncio.ensure_future(_read(turn))
        await asyncio.sleep(0)
        with pytest.raises(OpenAIError, match="Another task is reading this turn"):
            await anext(turn)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader


async def _read(turn: AsyncIterator[str]) -> list[str]:
    return [text async for text in turn]


async def test_a_turn_that_was_refused_does_not_end_the_one_under_way(
    conversation: Conversation,
) -> None:
    first = conversation.stream("Hi")
    await anext(first)
    second = conversation.stream("And?")
    with pytest.raises(ConflictError, match="in the middle of a turn"):
        await anext(second)
    del second
    conversation.stream("Never begun")
    with pytest.raises(ConflictError, match="in the middle of a turn"):
        await conversation.say("And?")
    async for _ in first:
        pass
    assert len(conversation.messages) == 2
    assert [text async for text in first] == []  # it has ended


async def test_the_next_turn_forgets_what_the_last_one_left(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Failure(cut_after=3))
    with pytest.raises(StreamInterruptedError):
        async for _ in conversation.stream("Hi"):
            pass
    assert conversation.partial is not None
    await conversation.say("Hi")
    assert conversation.partial is None


async def test_a_refused_request_leaves_no_partial(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Failure(status=400))
    with pytest.raises(APIError):
        await anext(conversation.stream("Hi"))
    assert conversation.partial is None


async def test_a_refusal_is_kept_as_one(raw: RawServer, raw_client: AsyncClient) -> None:
    conversation = Conversation(raw_client, model="m")
    message = {"role": "assistant", "content": None, "refusal": "I cannot."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    raw.answer = lambda exchange: exchange.whole(json.dumps({"choices": [choice]}).encode())
    await conversation.say("Hi")
    assert conversation.messages[-1] == message


async def test_calls_that_the_conversation_cannot_answer_are_not_kept(
    server: LocalServer, conversation: Conversation
) -> None:
    server.script(Reply(tool_calls=[{"name": "rain", "arguments": {}}]))
    with pytest.raises(OpenAIError, match="calls tools that the conversation cannot call"):
        await conversation.say("Weather?", extra_body={"tools": [RAIN]})
    assert conversation.messages == []


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"stream": True}, "stream"),
        ({"tools": []}, "tools"),
        ({"temprature": 1}, "temprature"),
    ],
)
@pytest.mark.parametrize("how", ["say", "stream"])
async def test_a_parameter_that_a_turn_does_not_have_is_refused_before_it_begins(
    server: LocalServer, conversation: Conversation, params: Any, error: str, how: str
) -> None:
    with pytest.raises(TypeError, match=f"{how}.*{error}"):
        await getattr(conversation, how)("Hi", **params)
    assert server.requests == []


@pytest.mark.parametrize("budget", ["10", True, -1.5])
def test_a_budget_that_is_no_number_is_refused(client: AsyncClient, budget: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="pass a positive number"):
        Conversation(client, model="m", max_tokens=budget)


# --- saving ---


async def test_a_saved_conversation_goes_on_where_it_stopped(
    server: LocalServer, conversation: Conversation
) -> None:
    conversation.system = "Be brief."
    await conversation.say("Hi")
    saved = conversation.to_json()
    again = Conversation.from_json(conversation.client, saved, temperature=0)
    await again.say("And?")
    assert [role for role, _ in words(sent(server))] == ["system", "user", "assistant", "user"]
    assert again.model == "gpt-4o-mini"


SAVED: dict[str, Any] = {"model": "m", "system": None, "messages": []}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "it has type NoneType, not str"),
        ("", "it is not JSON: input data was truncated"),
        ("NaN", "it is not JSON: invalid character (byte 0)"),
        ("null", "it is null, not an object"),
        ("[1]", "it is [1], not an object"),
        ("{}", 'it has no "model"'),
        (json.dumps({"model": "m", "messages": []}), 'it has no "system"'),
        (json.dumps({"model": "m", "system": "s"}), 'it has no "messages"'),
        (json.dumps({**SAVED, "model": None}), '"model" is null, not text'),
        (json.dumps({**SAVED, "system": ["s"]}), '"system" is ["s"], not text or null'),
        (json.dumps({**SAVED, "messages": "Hi"}), "\"messages\" is 'Hi', not a list"),
        (json.dumps({**SAVED, "messages": {}}), '"messages" is {}, not a list'),
        (json.dumps({**SAVED, "messages": [1]}), "messages[0] is 1, not an object"),
        (
            json.dumps({**SAVED, "messages": [{"role": "user"}, {"content": "Hi"}]}),
            'messages[1] has no "role" that is text',
        ),
        (
            json.dumps({**SAVED, "messages": [{"role": 5, "content": "Hi"}]}),
            'messages[0] has no "role" that is text',
        ),
    ],
)
def test_text_that_is_not_a_saved_conversation_says_why(
    client: AsyncClient, text: str, why: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Conversation.from_json(client, text)
    assert str(caught.value) == (
        f"This is not a saved conversation, as {why}. Pass what to_json() returned."
    )


async def test_a_saved_conversation_has_three_fields(conversation: Conversation) -> None:
    assert json.loads(conversation.to_json()) == {
        "model": "gpt-4o-mini",
        "system": None,
        "messages": [],
    }


# --- tools ---


def rain(city: str) -> str:
    """Whether it rains."""
    return f"It rains in {city}."


@pytest.mark.parametrize("how", ["say", "stream"])
async def test_calls_and_their_results_are_part_of_the_history(
    server: LocalServer, client: AsyncClient, how: str
) -> None:
    conversation = Conversation(client, model="gpt-4o-mini", tools=[rain])
    calls = [{"name": "rain", "arguments": {"city": "Oslo"}}]
    server.script(Reply(tool_calls=calls), Reply("Take an umbrella."))
    if how == "say":
        text = (await conversation.say("Weather?")).text
    else:
        text = "".join([text async for text in conversation.stream("Weather?")])
    assert text == "Take an umbrella."
    roles = [message["role"] for message in conversation.messages]
    assert roles == ["user", "assistant", "tool", "assistant"]
    assert conversation.messages[2]["content"] == "It rains in Oslo."
    again = Conversation.from_json(client, conversation.to_json(), tools=[rain])
    assert again.messages == conversation.messages


RAIN = {"type": "function", "function": {"name": "rain", "parameters": {"type": "object"}}}


def test_tools_are_functions(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match=r"tools\[1\] has type dict: pass a function"):
        Conversation(client, model="m", tools=[rain, RAIN])  # type: ignore[list-item]
    with pytest.raises(InvalidArgumentError, match="tools has type function: pass a list"):
        Conversation(client, model="m", tools=rain)  # type: ignore[arg-type]


async def test_a_call_that_takes_too_long_is_reported_to_the_function_for_errors(
    server: LocalServer, client: AsyncClient
) -> None:
    async def slow(city: str) -> None:
        await asyncio.Event().wait()

    conversation = Conversation(
        client,
        model="gpt-4o-mini",
        tools=[slow],
        tool_timeout=0.01,
        on_tool_error=lambda call, error: f"{call.function.name}: {type(error).__name__}",
    )
    server.script(Reply(tool_calls=[{"name": "slow", "arguments": {"city": "Oslo"}}]))
    await conversation.say("Weather?")
    assert conversation.messages[2]["content"] == "slow: TimeoutError"


@pytest.mark.parametrize(
    ("keyword", "message"),
    [("messages", r"set conversation\.messages"), ("temprature", "did you mean 'temperature'")],
)
def test_an_unknown_keyword_is_refused_at_once(
    client: AsyncClient, keyword: str, message: str
) -> None:
    given: dict[str, Any] = {keyword: []}
    with pytest.raises(TypeError, match=message):
        Conversation(client, model="m", **given)


@pytest.mark.parametrize("how", ["say", "stream"])
async def test_an_empty_answer_after_calls_is_kept_as_a_message_that_can_be_sent(
    raw: RawServer, raw_client: AsyncClient, how: str
) -> None:
    conversation = Conversation(raw_client, model="m", tools=[rain])
    call = {"id": "1", "type": "function", "index": 0}
    call["function"] = {"name": "rain", "arguments": '{"city": "Oslo"}'}
    first = {"role": "assistant", "content": None, "tool_calls": [call]}
    answers = iter([(first, "tool_calls"), ({"role": "assistant", "content": None}, "stop")])

    async def answer(exchange: Any) -> None:
        message, reason = next(answers)
        choice = {"index": 0, "finish_reason": reason}
        if how == "say":
            body = {"choices": [{**choice, "message": message}]}
            await exchange.whole(json.dumps(body).encode())
        else:
            await exchange.stream({"choices": [{**choice, "delta": message}]}, DONE)

    raw.answer = answer
    if how == "say":
        await conversation.say("Weather?")
    else:
        async for _ in conversation.stream("Weather?"):
            pass
    assert conversation.messages[-1] == {"role": "assistant", "content": ""}
    assert len(conversation.messages) == 4


async def test_partial_has_the_text_of_all_rounds(server: LocalServer, client: AsyncClient) -> None:
    conversation = Conversation(client, model="gpt-4o-mini", tools=[rain])
    calls = [{"name": "rain", "arguments": {"city": "Oslo"}}]
    server.script(Reply("Thinking aloud. ", tool_calls=calls), Failure(status=400))
    shown = []
    with pytest.raises(APIError):
        async for text in conversation.stream("Weather?"):
            shown.append(text)
    assert conversation.messages == []
    assert conversation.partial is not None
    assert conversation.partial.text == "".join(shown) == "Thinking aloud. "


async def test_partial_joins_the_round_that_broke_off_to_those_before(
    server: LocalServer, client: AsyncClient
) -> None:
    conversation = Conversation(
        client.with_options(max_retries=0), model="gpt-4o-mini", tools=[rain]
    )
    calls = [{"name": "rain", "arguments": {"city": "Oslo"}}]
    server.script(Reply("Thinking aloud. ", tool_calls=calls), Failure(cut_after=3))
    shown = []
    with pytest.raises(StreamInterruptedError):
        async for text in conversation.stream("Weather?"):
            shown.append(text)
    assert conversation.partial is not None
    assert conversation.partial.text == "".join(shown)
    assert len(conversation.partial.text) > len("Thinking aloud. ")


class SlowTool:
    """A tool that runs until it is cancelled."""

    def __init__(self) -> None:
        self.running, self.cancelled = asyncio.Event(), asyncio.Event()

    async def slow(self) -> None:
        self.running.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


async def test_cancelling_a_turn_while_a_tool_runs_keeps_what_was_said_before(
    server: LocalServer, client: AsyncClient
) -> None:
    slow = SlowTool()
    conversation = Conversation(client, model="gpt-4o-mini", tools=[slow.slow])
    server.script(Reply("One moment. ", tool_calls=[{"name": "slow", "arguments": {}}]))
    reader = asyncio.create_task(_read(conversation.stream("Go")))
    await slow.running.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert slow.cancelled.is_set()
    assert conversation.partial is not None
    assert conversation.partial.text == "One moment. "
    await conversation.say("Hello?")


async def test_cancelling_say_while_a_tool_runs_keeps_what_was_said_before(
    server: LocalServer, client: AsyncClient
) -> None:
    slow = SlowTool()
    conversation = Conversation(client, model="gpt-4o-mini", tools=[slow.slow])
    server.script(Reply("One moment. ", tool_calls=[{"name": "slow", "arguments": {}}]))
    turn = asyncio.create_task(conversation.say("Go"))
    await slow.running.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert conversation.partial is not None
    assert conversation.partial.text == "One moment. "


async def test_closing_a_turn_ends_its_tools(server: LocalServer, client: AsyncClient) -> None:
    slow = SlowTool()
    conversation = Conversation(client, model="gpt-4o-mini", tools=[slow.slow])
    server.script(Reply(tool_calls=[{"name": "slow", "arguments": {}}]))
    turn = conversation.stream("Go")
    reader = asyncio.create_task(_read(turn))
    await slow.running.wait()
    await turn.aclose()
    assert slow.cancelled.is_set()
    with pytest.raises(OpenAIError, match="stopped before its end"):
        await reader
