"""The chat completion request: checked field by field, and parsed into what the answer needs."""

from collections.abc import Mapping
from typing import Any

import attrs

from ..options import is_whole
from . import checks
from .chat_formats import (
    read_parallel_tool_calls,
    read_response_format,
    read_tool_choice,
    read_tools,
)
from .messages import Message, read_messages
from .responses import invalid
from .speech import spoken_format
from .tokens import MESSAGE_TOKENS, count_tokens

_MAX_STOPS = 4
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@attrs.frozen
class ChatRequest:
    model: str
    messages: list[Message]
    n: int = 1
    stream: bool = False
    include_usage: bool = False
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    seed: int = 0
    logprobs: bool = False
    top_logprobs: int = 0
    tools: list[dict[str, Any]] = attrs.field(factory=list)
    tool_choice: Any = None
    parallel_tool_calls: bool = True
    reasoning_effort: str | None = None
    spoken_format: str | None = None
    response_format: dict[str, Any] | None = None

    @property
    def prompt_text_tokens(self) -> int:
        return sum(MESSAGE_TOKENS + count_tokens(message.text) for message in self.messages)

    @property
    def last_user_message(self) -> Message | None:
        return next((one for one in reversed(self.messages) if one.role == "user"), None)


def read_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request, checked as far as the answer depends on it.

    Unknown parameters are accepted: they may be another server's (`top_k`).
    """
    model = checks.required_string(body, "model")
    messages = read_messages(body.get("messages"))
    for name in ("frequency_penalty", "presence_penalty"):
        checks.number(body, name, -2, 2)
    checks.number(body, "temperature", 0, 2)
    checks.number(body, "top_p", 0, 1)
    limits = [checks.integer(body, name, 1) for name in ("max_completion_tokens", "max_tokens")]
    logprobs = checks.boolean(body, "logprobs")
    top_logprobs = checks.integer(body, "top_logprobs", 0, 20)
    if top_logprobs is not None and not logprobs:
        msg = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        raise invalid(msg, "top_logprobs")
    stream = checks.boolean(body, "stream")
    tools = read_tools(body.get("tools"))
    return ChatRequest(
        model=model,
        messages=messages,
        n=checks.integer(body, "n", 1, 128) or 1,
        stream=stream,
        include_usage=_include_usage(body.get("stream_options"), stream),
        stop=_stop(body.get("stop")),
        max_tokens=next((limit for limit in limits if limit is not None), None),
        seed=checks.integer(body, "seed", -(2**63)) or 0,
        logprobs=logprobs,
        top_logprobs=top_logprobs or 0,
        tools=tools,
        tool_choice=read_tool_choice(body.get("tool_choice"), tools),
        parallel_tool_calls=read_parallel_tool_calls(body),
        spoken_format=spoken_format(body, stream=stream),
        reasoning_effort=checks.choice(body, "reasoning_effort", _EFFORTS),
        response_format=read_response_format(body.get("response_format")),
    )


def unchecked_request(body: Mapping[str, Any]) -> ChatRequest:
    """What a scripted reply needs from the request; nothing in it is refused."""
    n, options = body.get("n"), body.get("stream_options")
    messages = body.get("messages")
    texts = messages if isinstance(messages, list) else []
    return ChatRequest(
        model=str(body.get("model") or "local"),
        messages=[
            Message(str(one.get("role")), content if isinstance(content, str) else "")
            for one in texts
            if isinstance(one, dict)
            for content in [one.get("content")]
        ],
        n=n if is_whole(n, 1) and n <= 128 else 1,
        stream=body.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        logprobs=body.get("logprobs") is True,
    )


def _stop(stop: object) -> tuple[str, ...]:
    if stop is None:
        return ()
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(one, str) and one for one in stops):
        msg = "Invalid type for 'stop': expected a non-empty string or a list of them."
        raise invalid(msg, "stop", "invalid_type")
    if len(stops) > _MAX_STOPS:
        msg = f"Invalid 'stop': at most {_MAX_STOPS} sequences, got {len(stops)}."
        raise invalid(msg, "stop", "array_above_max_length")
    return tuple(stops)


def _include_usage(options: object, stream: bool) -> bool:
    if options is None:
        return False
    if not stream:
        msg = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise invalid(msg, "stream_options")
    if not isinstance(options, dict):
        msg = "Invalid type for 'stream_options': expected an object."
        raise invalid(msg, "stream_options", "invalid_type")
    return checks.boolean(options, "include_usage")
