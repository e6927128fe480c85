"""The parameters of a chat completion request.

https://platform.openai.com/docs/api-reference/chat/create - names and shapes are the API's own, so
that dicts can be pasted from its documentation. The type checker and the server check them.

The types of messages, tools and the like can be imported from here too. They are in modules of
their own because no request needs them, and creating them takes 3 ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

from .._submodules import LazyModule, names_of
from ..options import BaseRequestOptions

__all__ = [
    "AllowedTools",
    "AllowedToolsChoice",
    "AssistantMessage",
    "AudioOutput",
    "ChatCompletionMessageParam",
    "ChatCompletionOptions",
    "ChatCompletionParams",
    "ChatCompletionParseParams",
    "ContentPart",
    "ContentPartFile",
    "ContentPartImage",
    "ContentPartInputAudio",
    "ContentPartRefusal",
    "ContentPartText",
    "CustomCall",
    "CustomDefinition",
    "CustomTool",
    "CustomToolCall",
    "CustomVoice",
    "DeveloperMessage",
    "FileFile",
    "FunctionCall",
    "FunctionDefinition",
    "FunctionMessage",
    "FunctionTool",
    "FunctionToolCall",
    "Grammar",
    "GrammarFormat",
    "ImageURL",
    "InputAudio",
    "JSONSchema",
    "Moderation",
    "ModerationConfig",
    "ModerationPolicy",
    "Named",
    "NamedCustomChoice",
    "NamedFunctionChoice",
    "Prediction",
    "PreviousAudio",
    "PromptCacheBreakpoint",
    "PromptCacheOptions",
    "ResponseFormatJSONObject",
    "ResponseFormatJSONSchema",
    "ResponseFormatText",
    "StreamOptions",
    "SystemMessage",
    "TextContent",
    "TextFormat",
    "ToolChoice",
    "ToolFunction",
    "ToolMessage",
    "UserMessage",
    "WebSearchLocation",
    "WebSearchOptions",
    "WebSearchUserLocation",
]

if TYPE_CHECKING:
    from . import chat_message_params, chat_option_params
    from .chat_message_params import *  # noqa: F403
    from .chat_option_params import *  # noqa: F403
else:
    chat_message_params = LazyModule(f"{__package__}.chat_message_params")
    chat_option_params = LazyModule(f"{__package__}.chat_option_params")
    __getattr__, __dir__ = names_of((chat_message_params, chat_option_params), globals())


class _Required(TypedDict):
    # A separate class: type checkers understand `Required[...]` in annotations that are not
    # evaluated, but `__required_keys__` does not list such keys.
    messages: Sequence[chat_message_params.ChatCompletionMessageParam | Mapping[str, object]]
    """Any dict is accepted, since a list built in steps has the type `list[dict[str, str]]`. Type
    checkers look into the dicts of a variable declared as `list[ChatCompletionMessageParam]`."""
    model: str


class _Options(BaseRequestOptions, total=False):
    audio: chat_option_params.AudioOutput | None
    frequency_penalty: float | None
    function_call: Literal["none", "auto"] | chat_option_params.Named
    """Deprecated by the API in favour of `tool_choice`."""
    functions: Sequence[chat_option_params.FunctionDefinition]
    """Deprecated by the API in favour of `tools`."""
    logit_bias: Mapping[str, int] | Mapping[int, int] | None
    """Token id -> bias from -100 to 100."""
    logprobs: bool | None
    max_completion_tokens: int | None
    metadata: Mapping[str, str] | None
    modalities: Sequence[Literal["text", "audio"]] | None
    moderation: chat_option_params.Moderation | None
    n: int | None
    parallel_tool_calls: bool
    prediction: chat_option_params.Prediction | None
    presence_penalty: float | None
    prompt_cache_key: str | None
    prompt_cache_options: chat_option_params.PromptCacheOptions
    prompt_cache_retention: Literal["in_memory", "24h"] | None
    """Deprecated by the API in favour of `prompt_cache_options`."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
    safety_identifier: str | None
    seed: int | None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None
    stop: str | Sequence[str] | None
    store: bool | None
    stream_options: chat_option_params.StreamOptions | None
    temperature: float | None
    tool_choice: chat_option_params.ToolChoice
    top_logprobs: int | None
    top_p: float | None
    user: str
    """Deprecated by the API in favour of `safety_identifier` and `prompt_cache_key`."""
    verbosity: Literal["low", "medium", "high"] | None
    web_search_options: chat_option_params.WebSearchOptions


class ChatCompletionOptions(_Options, total=False, closed=True):
    """The parameters of a chat completion that say how to answer: all except those that
    `Conversation` and `parse` have as arguments of their own."""


class _WithTools(_Required, _Options, total=False):
    max_tokens: int | None
    """Deprecated by the API in favour of `max_completion_tokens`, but most other servers
    know only this one."""
    tools: Sequence[
        chat_option_params.FunctionTool
        | chat_option_params.CustomTool
        | chat_option_params.ToolFunction
        | Mapping[str, object]
    ]
    """Dicts, or Python functions; see `openai_async.tool`."""


class ChatCompletionParseParams(_WithTools, total=False, closed=True):
    """The parameters of `chat.completions.parse`, except `response_format` and its own."""


class ChatCompletionParams(_WithTools, total=False, closed=True):
    """The parameters of `chat.completions.create`, except `stream`.

    Parameters that are left out are not sent; `None` is sent as `null`.
    """

    response_format: (
        chat_option_params.ResponseFormatText
        | chat_option_params.ResponseFormatJSONSchema
        | chat_option_params.ResponseFormatJSONObject
        | Mapping[str, object]
    )
