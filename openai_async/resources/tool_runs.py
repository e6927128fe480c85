"""`client.chat.completions.run_tools`: asks, calls the functions that the model wants, asks again.

    completion = await run_tools(...)          # the end
    async for step in run_tools(...): ...      # every step, while it happens

Both run the same loop, an async generator (`ToolRun._steps`): it owns the tasks of the calls, and
waits for them however it ends. A generator does not notice when the `async for` over it is left, so
that loop gets an iterator of its own (`tool_run_reader`), which cancels the calls and hangs up when
it is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ..errors import InvalidArgumentError, OpenAIError, ToolRoundsExceededError
from ..options import check_whole, is_number
from ..streaming.chat import ChatCompletionStream
from ..structured.answers import Misfits, check_complete, with_values
from ..structured.response_formats import ResponseFormat
from ..types.chat_completion import ChatCompletion
from ..types.normalize import is_usage
from ..types.parsed_chats import ParsedChatCompletion, ParsedFunctionToolCall
from ..types.tool_steps import (
    CompletionStep,
    OnToolError,
    ToolCallStep,
    ToolResultStep,
    ToolStep,
)
from .messages import sendable
from .params import json_body, sent_number
from .parsing import Parsing, checked
from .relayed_run import RelayedRun
from .stream_usage import stream_arguments
from .tool_calls import Caller, Running, tell_apart
from .tool_run_reader import Read, Steps

if TYPE_CHECKING:
    from ..types.chat_chunk import ChatCompletionChunk
    from ..types.chat_common import CompletionUsage
    from ..types.chat_params import ChatCompletionMessageParam
    from .base_client import BaseClient
    from .endpoint import Endpoint

T = TypeVar("T")
P = TypeVar("P")


class ToolRun(RelayedRun, Generic[T]):
    """A conversation with the model and the tools that it calls. Await it, or iterate over it.

    Nothing is sent before that. A run can be awaited or iterated over only once; afterwards,
    `await run` returns the completion again.

    Leaving the loop early, by `break` or an exception, hangs up and cancels the calls at once, but
    does not wait until they have ended; `async with run:` and `await run.aclose()` do.

    Attributes:
        messages: the conversation so far: the messages of the request, then each answer with the
            results of its calls, and the last answer. Pass it to the next request.
        completions: every answer so far, with its `usage` and `meta`.
    """

    _what = "run"

    def __init__(self, parsing: Parsing, caller: Caller, max_rounds: int) -> None:
        self.messages: list[ChatCompletionMessageParam] = [*parsing.params["messages"]]
        self.completions: list[ParsedChatCompletion[T]] = []
        self._client: BaseClient = parsing.client
        self._endpoint: Endpoint[ChatCompletion] = parsing.endpoint
        self._params = parsing.params
        self._expected: ResponseFormat[T] | None = parsing.expected
        self._caller = caller
        self._max_rounds = max_rounds
        self._usages: list[CompletionUsage | None] = []
        """Those of the streamed answers."""
        self._running = Running()
        self._secret: str | None = None
        """The keys that were sent for the latest answer."""
        self._stream: ChatCompletionStream | None = None
        self._begun = self._ended = self._left = False

    # --- reading ---

    def __await__(self) -> Generator[Any, None, ParsedChatCompletion[T]]:
        return self._completion().__await__()

    def __aiter__(self) -> AsyncIterator[ToolStep[T]]:
        return Steps(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Hang up, cancel the calls, and wait until they have ended; also from another task."""
        self._leave()
        await self._running.stop()

    def __repr__(self) -> str:
        state = "ended" if self._ended else "left" if self._left else "running"
        return f"<ToolRun {state if self._begun else 'not begun'}, {len(self.completions)} answers>"

    async def _completion(self) -> ParsedChatCompletion[T]:
        if not self._ended:
            async for _ in self._begin(None):
                pass
        return self.completions[-1]

    def _begin(self, read: Read[P] | None) -> AsyncGenerator[P | ToolStep[T], None]:
        """The steps. `read` reads each streamed answer; without it, none is streamed."""
        self._check_open()
        if self._begun:
            msg = "This run has already begun: await it or iterate over it, once."
            raise OpenAIError(msg)
        self._begun = True
        return self._steps(read)

    @property
    def partial(self) -> ChatCompletion | None:
        """What has arrived of the streamed answer, also after the run failed during it."""
        return None if self._stream is None else self._stream.partial

    # --- relaying ---

    def _has_begun(self) -> bool:
        return self._begun or self._left

    def _all_steps(self) -> AsyncGenerator[ChatCompletionChunk | ToolStep[T], None]:
        return self._begin(aiter)

    def _usage(self) -> CompletionUsage | None:
        from ..streaming.usage_estimate import total_usage  # few programs need it

        return total_usage(self._usages)

    # --- the loop ---

    async def _steps(self, read: Read[P] | None) -> AsyncGenerator[P | ToolStep[T], None]:
        try:
            for number in range(1, self._max_rounds + 1):
                if read is not None:
                    self._stream = self._streamed()
                    async for piece in read(self._stream):
                        yield piece
                    completion = await self._stream.completion()
                    usage = completion.usage  # that of the stream would assemble it again
                    self._usages.append(
                        usage if usage is not None and is_usage(usage._raw) else self._stream.usage
                    )
                    self._secret, self._stream = self._stream._secret, None
                else:
                    completion = await self._asked()
                self._check_open()
                answer, misfits = self._read(completion)
                ours = _calls_in(answer, self._caller)
                if not ours:
                    break
                if number == self._max_rounds:
                    raise self._exceeded(answer)
                called = {}
                for index, call in ours.items():
                    yield ToolCallStep(call=call, index=index)
                    answered = self._caller.answer(call, misfits.get(index), self._secret)
                    called[self._running.start(answered)] = call
                results = {}
                while self._running:
                    step = await self._next_result(called)
                    results[step.call.id] = step
                    yield step
                self._take_in(answer, [results[call.id] for call in ours.values()])
                if len(ours) < len(answer.choices[0].message.tool_calls or ()):
                    break  # the others are for the caller
            if not ours:
                self._take_in(answer, [])
            self._ended = True
            yield CompletionStep(completion=answer)
        finally:
            self._left = not self._ended
            await self._running.stop()

    async def _next_result(
        self, called: Mapping[asyncio.Task[ToolResultStep], ParsedFunctionToolCall]
    ) -> ToolResultStep:
        """The result of the next call that has ended."""
        task: asyncio.Task[ToolResultStep] = await self._running.ended()
        try:
            return task.result()
        except asyncio.CancelledError as error:
            self._check_open()
            # The run goes on, so this was not for it: the tool awaited what others have cancelled.
            return await self._caller.cancelled(called[task], error)

    async def _asked(self) -> ChatCompletion:
        params = self._next_params()
        body = json_body(params, params.get("extra_body"))
        # A task, so that `aclose` can cancel it.
        self._running.start(self._client._answer_with_secret(self._endpoint, params, body))
        task = await self._running.ended()
        if task.cancelled():
            self._check_open()
        completion: ChatCompletion
        completion, self._secret = task.result()
        return completion

    def _streamed(self) -> ChatCompletionStream:
        params = self._next_params()
        body = json_body(params, params.get("extra_body"), stream=True)
        arguments = stream_arguments(self._client, self._endpoint, params, body)
        return ChatCompletionStream(**arguments)

    def _next_params(self) -> dict[str, Any]:
        params = {**self._params, "messages": sendable(self.messages)}
        if self.completions and "tool_choice" in params:
            params["tool_choice"] = _free(params["tool_choice"])
        return params

    def _read(self, completion: ChatCompletion) -> tuple[ParsedChatCompletion[T], Misfits]:
        """The answer with its values, and what is wrong with the arguments of its calls."""
        calls = completion.choices[0].message.tool_calls if completion.choices else None
        if calls or self._expected is not None:
            check_complete(completion)
        tell_apart(calls or (), f"call_{len(self.completions)}")
        misfits: Misfits = {}
        answer = with_values(completion, self._expected, self._caller.tools, self._secret, misfits)
        self.completions.append(answer)
        return answer, misfits

    def _take_in(self, answer: ParsedChatCompletion[T], results: list[ToolResultStep]) -> None:
        """Add an answer and the results of its calls to the conversation."""
        self.messages += [choice.message for choice in answer.choices[:1]]
        for result in results:
            self.messages.append(
                {"role": "tool", "tool_call_id": result.call.id, "content": result.content}
            )

    def _exceeded(self, answer: ParsedChatCompletion[T]) -> ToolRoundsExceededError:
        msg = (
            f"After {self._max_rounds} requests the model still calls tools: raise max_rounds, or "
            "continue with error.messages."
        )
        error = ToolRoundsExceededError(msg)
        error.completion, error.messages = answer, self.messages
        return error

    # --- how it ends ---

    def _check_open(self) -> None:
        if self._left:
            msg = "This run was stopped before its end: start a new one with its messages."
            raise OpenAIError(msg)

    def _leave(self) -> None:
        """Hang up and cancel the calls, without waiting."""
        self._left = not self._ended
        if self._stream is not None:
            self._stream._leave()
        self._running.cancel()


def run_tools(
    client: BaseClient,
    endpoint: Endpoint[Any],
    params: Mapping[str, Any],
    kind: Any,
    *,
    max_rounds: int,
    on_tool_error: OnToolError | None,
    tool_timeout: float | None,
    **parsing: Any,
) -> ToolRun[Any]:
    """See `Completions.run_tools`."""
    made = checked("run_tools", client, endpoint, params, kind, **parsing)
    if not made.tools:
        msg = "run_tools needs tools: pass tools=[function, ...]."
        raise InvalidArgumentError(msg)
    if sent_number(made.params, "n", 1) != 1:
        msg = "run_tools needs a single answer: leave out n."
        raise InvalidArgumentError(msg)
    check_whole("max_rounds", max_rounds)
    if tool_timeout is not None and not (is_number(tool_timeout) and tool_timeout > 0):
        msg = f"tool_timeout is {tool_timeout!r}: pass a number of seconds, or None."
        raise InvalidArgumentError(msg)
    return ToolRun(made, Caller(made.tools, tool_timeout, on_tool_error), max_rounds)


def _calls_in(
    answer: ParsedChatCompletion[Any], caller: Caller
) -> dict[int, ParsedFunctionToolCall]:
    """The calls that we answer, by their index in the message."""
    calls = answer.choices[0].message.tool_calls if answer.choices else None
    return {index: call for index, call in enumerate(calls or ()) if caller.is_ours(call)}


def _free(choice: Any) -> Any:
    """The `tool_choice` after the first answer: it must not force a call each time."""
    if isinstance(choice, Mapping):
        allowed = choice.get("allowed_tools")
        if choice.get("type") == "allowed_tools" and isinstance(allowed, Mapping):
            return {**choice, "allowed_tools": {**allowed, "mode": "auto"}}
        return "auto"
    return "auto" if choice == "required" else choice
