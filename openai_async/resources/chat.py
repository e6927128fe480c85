"""`client.chat.completions`: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from typing_extensions import TypeForm

from .._submodules import LazyModule
from ..errors import InvalidArgumentError
from ..options import RequestOptions
from ..types.chat_completion import ChatCompletion
from ..types.chat_params import ChatCompletionParams, ChatCompletionParseParams
from .base_client import Resource
from .coroutine_marks import coroutine_function
from .endpoint import Endpoint
from .messages import sendable
from .params import json_body
from .response_methods import Kind, Method, Raw, Responses, Streaming, method

if TYPE_CHECKING:
    from cattrs import BaseConverter

    from ..streaming import chat as streams
    from ..streaming import events
    from ..streaming import parsed as parsed_streams
    from ..structured import tools
    from ..types import parsed_chats as parsed_types
    from ..types import stored_chats as types
    from ..types import tool_steps
    from . import overloads, paging, parsing, stream_usage, tool_runs
    from . import stored_chats as stored
else:  # not every program streams, or uses stored completions
    streams = LazyModule("openai_async.streaming.chat")
    events = LazyModule("openai_async.streaming.events")
    types = LazyModule("openai_async.types.stored_chats")
    tools = LazyModule("openai_async.structured.tools")
    parsing = LazyModule("openai_async.resources.parsing")
    tool_runs = LazyModule("openai_async.resources.tool_runs")
    parsed_streams = LazyModule("openai_async.streaming.parsed")
    parsed_types = LazyModule("openai_async.types.parsed_chats")
    tool_steps = LazyModule("openai_async.types.tool_steps")
    paging = LazyModule("openai_async.resources.paging")
    stored = LazyModule("openai_async.resources.stored_chats")
    stream_usage = LazyModule("openai_async.resources.stream_usage")

T = TypeVar("T")

CREATE = Endpoint("create", "POST", "/chat/completions", ChatCompletionParams, ChatCompletion)


class Completions(Resource):
    """Chat completions."""

    @overload
    def create(
        self, *, stream: Literal[True], **params: Unpack[ChatCompletionParams]
    ) -> streams.ChatCompletionStream: ...

    @overload
    def create(
        self, *, stream: Literal[False] | None = None, **params: Unpack[ChatCompletionParams]
    ) -> Coroutine[Any, Any, ChatCompletion]: ...

    @overload
    def create(
        self, *, stream: bool | None, **params: Unpack[ChatCompletionParams]
    ) -> Coroutine[Any, Any, ChatCompletion] | streams.ChatCompletionStream: ...

    @coroutine_function
    def create(
        self, *, stream: bool | None = None, **params: Unpack[ChatCompletionParams]
    ) -> Coroutine[Any, Any, ChatCompletion] | streams.ChatCompletionStream:
        """Ask a model. Await the result or, with `stream=True`, iterate over it.

        The parameters are those of `ChatCompletionParams`; parameters that only some servers have
        go into `extra_body`. They are checked when this is called; the options of the call
        (`timeout`, `max_retries`, `extra_headers`, `extra_query`) are checked when it is awaited,
        before anything is sent.

        Raises:
            InvalidArgumentError: `messages` is empty or not a list; a value is not JSON.
            TypeError: a parameter is missing or unknown.
            APIError: see `openai_async.errors`.

        Example::

            result = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]
            )
            print(result.text)
        """
        CREATE.check(params)
        params["messages"] = sendable(params["messages"])
        if params.get("tools") is not None:  # None is sent, as for other parameters
            params["tools"] = tools.sent_tools(params["tools"])
        if "response_format" in params and not isinstance(params["response_format"], Mapping):
            _refuse_type(params["response_format"])
        body = json_body(params, params.get("extra_body"), stream)
        if not stream:
            return self._client._call(CREATE, params, body)
        arguments = stream_usage.stream_arguments(self._client, CREATE, params, body)
        return streams.ChatCompletionStream(**arguments)

    # --- answers as values of a type ---

    # Classes have overloads of their own, before those of unions and other types: these work in
    # older type checkers too, and accept aliases that are local to a function.

    @overload
    def parse(
        self,
        *,
        response_format: type[T],
        stream: Literal[True],
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> parsed_streams.ParsedChatCompletionStream[T]: ...

    @overload
    def parse(
        self,
        *,
        response_format: TypeForm[T],
        stream: Literal[True],
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> parsed_streams.ParsedChatCompletionStream[T]: ...

    @overload
    def parse(
        self,
        *,
        response_format: type[T],
        stream: Literal[False] | None = None,
        strict: bool = True,
        converter: BaseConverter | None = None,
        reask: int = 0,
        **params: Unpack[ChatCompletionParseParams],
    ) -> Coroutine[Any, Any, parsed_types.ParsedChatCompletion[T]]: ...

    @overload
    def parse(
        self,
        *,
        response_format: TypeForm[T],
        stream: Literal[False] | None = None,
        strict: bool = True,
        converter: BaseConverter | None = None,
        reask: int = 0,
        **params: Unpack[ChatCompletionParseParams],
    ) -> Coroutine[Any, Any, parsed_types.ParsedChatCompletion[T]]: ...

    # For types that are only known at run time, and for tools alone.

    @overload
    def parse(
        self,
        *,
        response_format: object = None,
        stream: Literal[True],
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> parsed_streams.ParsedChatCompletionStream[Any]: ...

    @overload
    def parse(
        self,
        *,
        response_format: object = None,
        stream: Literal[False] | None = None,
        strict: bool = True,
        converter: BaseConverter | None = None,
        reask: int = 0,
        **params: Unpack[ChatCompletionParseParams],
    ) -> Coroutine[Any, Any, parsed_types.ParsedChatCompletion[Any]]: ...

    @coroutine_function
    def parse(
        self,
        *,
        response_format: object = None,
        stream: bool | None = None,
        strict: bool = True,
        converter: BaseConverter | None = None,
        reask: int = 0,
        **params: Unpack[ChatCompletionParseParams],
    ) -> Any:
        """Ask a model for a value of a Python type, `completion.parsed`.

        The type may be an attrs class, a dataclass, a TypedDict, a NamedTuple, a msgspec Struct or
        a pydantic model. Its fields may be of such types too, or enums, `Literal`, unions, lists,
        dates, UUIDs and Decimals, which may also be used alone. The model gets its schema. `tools`
        may contain functions: `tool_call.parsed_arguments` are the arguments of their calls.

        Args:
            response_format: the type; without one, only tools are parsed.
            stream: return a `ParsedChatCompletionStream`, which reads the value while it is
                written.
            strict: hold the model to the schema exactly. `False` allows dicts with arbitrary keys,
                tuples of items of different types, and fields that may be left out.
            converter: a cattrs converter that reads the value, in place of
                `structured.make_converter()`.
            reask: how many times to ask again, with the error, if the answer does not fit. Each
                is a request of its own; `.usage` is that of the last.

        Raises:
            InvalidArgumentError: the type has no schema; the message has the path of the field.
            LengthFinishReasonError, ContentFilterFinishReasonError: the answer is incomplete.
            APIResponseValidationError: it does not fit; see its `.path` and `.completion`.
            APIError: see `openai_async.errors`.

        Example::

            completion = await client.chat.completions.parse(
                model="gpt-4o", messages=messages, response_format=list[Step]
            )
            for step in completion.parsed or []: ...
        """
        return parsing.parse(
            self._client,
            CREATE,
            params,
            response_format,
            stream=stream,
            strict=strict,
            converter=converter,
            reask=reask,
        )

    @overload
    def stream(
        self, **params: Unpack[ChatCompletionParams]
    ) -> events.ChatCompletionEventStream[None]: ...

    @overload
    def stream(
        self,
        *,
        response_format: type[T],
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> events.ChatCompletionEventStream[T]: ...

    @overload
    def stream(
        self,
        *,
        response_format: TypeForm[T],
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> events.ChatCompletionEventStream[T]: ...

    def stream(
        self,
        *,
        response_format: Any = None,
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> events.ChatCompletionEventStream[Any]:
        """The answer as events: texts, tool calls and so on, as they begin, grow and are done.

        The parameters and errors are those of `create`, or of `parse` if `response_format` is a
        type: then the event `content.done` and the final completion have its value, `.parsed`.

        Example::

            async with client.chat.completions.stream(model=..., messages=...) as stream:
                async for event in stream:
                    if event.type == "content.delta":
                        print(event.delta, end="")
        """
        sent: Any = params
        if isinstance(response_format, Mapping):
            sent, response_format = {**params, "response_format": response_format}, None
        return parsing.checked(
            "stream",
            self._client,
            CREATE,
            sent,
            response_format,
            strict=strict,
            converter=converter,
        ).events()

    # --- tools ---

    @overload
    def run_tools(
        self,
        *,
        response_format: None = None,
        max_rounds: int = 10,
        on_tool_error: tool_steps.OnToolError | None = None,
        tool_timeout: float | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> tool_runs.ToolRun[None]: ...

    @overload
    def run_tools(
        self,
        *,
        response_format: type[T],
        max_rounds: int = 10,
        on_tool_error: tool_steps.OnToolError | None = None,
        tool_timeout: float | None = None,
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> tool_runs.ToolRun[T]: ...

    @overload
    def run_tools(
        self,
        *,
        response_format: TypeForm[T],
        max_rounds: int = 10,
        on_tool_error: tool_steps.OnToolError | None = None,
        tool_timeout: float | None = None,
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> tool_runs.ToolRun[T]: ...

    @overload
    def run_tools(
        self,
        *,
        response_format: object,
        max_rounds: int = 10,
        on_tool_error: tool_steps.OnToolError | None = None,
        tool_timeout: float | None = None,
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> tool_runs.ToolRun[Any]: ...

    def run_tools(
        self,
        *,
        response_format: object = None,
        max_rounds: int = 10,
        on_tool_error: tool_steps.OnToolError | None = None,
        tool_timeout: float | None = None,
        strict: bool = True,
        converter: BaseConverter | None = None,
        **params: Unpack[ChatCompletionParseParams],
    ) -> tool_runs.ToolRun[Any]:
        """Ask a model, call the functions in `tools` that it wants called, and ask again with
        their results, until it is done. Await the last answer, or iterate over all steps.

        The functions that one answer calls run at the same time: async ones on the event loop,
        plain ones each in a thread of its own, so that they may block. The run ends with an
        answer that calls no function; or a tool that was given as a dict, or a custom tool: those
        calls are yours to answer, in `run.messages`.

        A call that fails, takes too long, has arguments that do not fit or names an unknown tool
        becomes a message to the model, which says so without the text of the exception.

        Args:
            response_format: a type for the last answer, as in `parse`.
            max_rounds: how many requests there may be.
            on_tool_error: called with the call and its exception; may be async. What it returns
                is the message to the model, `None` is for the default; what it raises ends the
                run. Without it, exceptions are logged.
            tool_timeout: seconds that a call may take. A plain function goes on in its thread.
            strict, converter: as in `parse`.

        Raises:
            InvalidArgumentError: there are no tools, or a function is not fit to be one.
            ToolRoundsExceededError: the model still calls tools; see its `.messages`.
            LengthFinishReasonError, ContentFilterFinishReasonError: calls, or a value, are
                incomplete. Text that is cut off is returned, as by `create`.
            APIResponseValidationError: the last answer does not fit.
            APIError: see `openai_async.errors`.

        Example::

            run = client.chat.completions.run_tools(
                model="gpt-4o", messages=messages, tools=[weather]
            )
            async for step in run:
                if step.type == "content.delta":
                    print(step.delta, end="")
        """
        return tool_runs.run_tools(
            self._client,
            CREATE,
            params,
            response_format,
            max_rounds=max_rounds,
            on_tool_error=on_tool_error,
            tool_timeout=tool_timeout,
            strict=strict,
            converter=converter,
        )

    # --- completions that were created with store=True ---

    def list(
        self, **params: Unpack[types.ChatCompletionListParams]
    ) -> paging.Paginator[types.ChatCompletionPage, ChatCompletion]:
        """The stored completions. Await the first page, or iterate over all with `async for`.

        Raises:
            APIError: see `openai_async.errors`.

        Example::

            async for completion in client.chat.completions.list(metadata={"user": "7"}):
                print(completion.text)
        """
        return paging.paginated(self._client, stored.LIST, params)

    async def retrieve(
        self, completion_id: str, **options: Unpack[RequestOptions]
    ) -> ChatCompletion:
        """A stored completion; `NotFoundError` if it was not stored, or has been deleted."""
        call = self._client._call
        return await call(stored.RETRIEVE, options, completion_id=completion_id)

    async def update(
        self, completion_id: str, **params: Unpack[types.ChatCompletionUpdateParams]
    ) -> ChatCompletion:
        """Replace the `metadata` of a stored completion, the only part that can be changed."""
        return await self._client._call(stored.UPDATE, params, completion_id=completion_id)

    async def delete(
        self, completion_id: str, **options: Unpack[RequestOptions]
    ) -> types.ChatCompletionDeleted:
        """Delete a stored completion."""
        return await self._client._call(stored.DELETE, options, completion_id=completion_id)

    @property
    def messages(self) -> stored.Messages:
        """`client.chat.completions.messages.list(completion_id)`"""
        return stored.Messages(self._client)

    @property
    def with_raw_response(self) -> CompletionResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return CompletionResponses(self, Raw)

    @property
    def with_streaming_response(self) -> CompletionResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return CompletionResponses(self, Streaming)


class CompletionResponses(Responses[Kind]):
    create: overloads.Create = Method()
    parse: overloads.Parse = Method()
    list = method(Completions.list)
    retrieve = method(Completions.retrieve)
    update = method(Completions.update)
    delete = method(Completions.delete)

    @property
    def messages(self) -> stored.MessageResponses[Kind]:
        return stored.MessageResponses(stored.Messages(self._resource._client), self._kind)


def _refuse_type(kind: object) -> None:
    if isinstance(kind, type) or hasattr(kind, "__origin__"):
        name = getattr(kind, "__name__", kind)
        msg = f"response_format is the type {name}: use chat.completions.parse, not create."
        raise InvalidArgumentError(msg)


class Chat(Resource):
    """`client.chat`"""

    __slots__ = ()

    @property
    def completions(self) -> Completions:
        """`client.chat.completions.create(...)`"""
        return Completions(self._client)

    @property
    def with_raw_response(self) -> ChatResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return ChatResponses(self, Raw)

    @property
    def with_streaming_response(self) -> ChatResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return ChatResponses(self, Streaming)


class Beta(Resource):
    """`client.beta`, where programs look for `chat.completions.parse` and `stream`: in the official
    SDK, they were introduced there.
    """

    __slots__ = ()

    @property
    def chat(self) -> Chat:
        """`client.chat`"""
        return Chat(self._client)


class ChatResponses(Responses[Kind]):
    @property
    def completions(self) -> CompletionResponses[Kind]:
        return CompletionResponses(Completions(self._resource._client), self._kind)
