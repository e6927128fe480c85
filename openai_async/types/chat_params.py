"""The parameters of a chat completion request, with every kind of message, part and tool.

https://platform.openai.com/docs/api-reference/chat/create - names and shapes are the API's own, so
that dicts can be pasted from its documentation. The type checker and the server check them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypeAlias, TypedDict

from ..options import RequestOptions
from .chat import ChatCompletionMessage, ChatCompletionMessageToolCall

# --- content parts ------------------------------------------------------------------------------


class PromptCacheBreakpoint(TypedDict):
    """Marks the end of a prefix that can be reused."""

    mode: Literal["explicit"]


class ContentPartText(TypedDict, total=False):
    type: Required[Literal["text"]]
    text: Required[str]
    prompt_cache_breakpoint: PromptCacheBreakpoint


class ImageURL(TypedDict, total=False):
    url: Required[str]
    """An http(s) URL the server can reach, or a data URL."""
    detail: Literal["auto", "low", "high", "original"]


class ContentPartImage(TypedDict, total=False):
    """What `image_part()` returns."""

    type: Required[Literal["image_url"]]
    image_url: Required[ImageURL]
    prompt_cache_breakpoint: PromptCacheBreakpoint


class InputAudio(TypedDict):
    data: str
    """Base64."""
    format: Literal["wav", "mp3"]


class ContentPartInputAudio(TypedDict, total=False):
    type: Required[Literal["input_audio"]]
    input_audio: Required[InputAudio]
    prompt_cache_breakpoint: PromptCacheBreakpoint


class FileFile(TypedDict, total=False):
    filename: str
    file_data: str
    """Base64."""
    file_id: str


class ContentPartFile(TypedDict, total=False):
    type: Required[Literal["file"]]
    file: Required[FileFile]
    prompt_cache_breakpoint: PromptCacheBreakpoint


class ContentPartRefusal(TypedDict):
    type: Literal["refusal"]
    refusal: str


ContentPart: TypeAlias = (
    ContentPartText | ContentPartImage | ContentPartInputAudio | ContentPartFile
)
TextContent: TypeAlias = str | Sequence[ContentPartText]

# --- messages -----------------------------------------------------------------------------------


class DeveloperMessage(TypedDict, total=False):
    role: Required[Literal["developer"]]
    content: Required[TextContent]
    name: str


class SystemMessage(TypedDict, total=False):
    role: Required[Literal["system"]]
    content: Required[TextContent]
    name: str


class UserMessage(TypedDict, total=False):
    role: Required[Literal["user"]]
    content: Required[str | Sequence[ContentPart]]
    name: str


class FunctionCall(TypedDict):
    name: str
    arguments: str


class CustomCall(TypedDict):
    name: str
    input: str


class FunctionToolCall(TypedDict):
    id: str
    type: Literal["function"]
    function: FunctionCall


class CustomToolCall(TypedDict):
    id: str
    type: Literal["custom"]
    custom: CustomCall


class PreviousAudio(TypedDict):
    id: str


class AssistantMessage(TypedDict, total=False):
    role: Required[Literal["assistant"]]
    content: str | Sequence[ContentPartText | ContentPartRefusal] | None
    refusal: str | None
    name: str
    audio: PreviousAudio | None
    tool_calls: Sequence[FunctionToolCall | CustomToolCall | ChatCompletionMessageToolCall]
    function_call: FunctionCall | None


class ToolMessage(TypedDict):
    role: Literal["tool"]
    content: TextContent
    tool_call_id: str


class FunctionMessage(TypedDict):
    role: Literal["function"]
    content: str | None
    name: str


ChatCompletionMessageParam: TypeAlias = (
    DeveloperMessage
    | SystemMessage
    | UserMessage
    | AssistantMessage
    | ToolMessage
    | FunctionMessage
    | ChatCompletionMessage
)

# --- tools --------------------------------------------------------------------------------------


class FunctionDefinition(TypedDict, total=False):
    name: Required[str]
    description: str
    parameters: Mapping[str, object]
    """A JSON Schema."""
    strict: bool | None


class FunctionTool(TypedDict):
    type: Literal["function"]
    function: FunctionDefinition


class TextFormat(TypedDict):
    type: Literal["text"]


class Grammar(TypedDict):
    definition: str
    syntax: Literal["lark", "regex"]


class GrammarFormat(TypedDict):
    type: Literal["grammar"]
    grammar: Grammar


class CustomDefinition(TypedDict, total=False):
    name: Required[str]
    description: str
    format: TextFormat | GrammarFormat


class CustomTool(TypedDict):
    type: Literal["custom"]
    custom: CustomDefinition


class Named(TypedDict):
    name: str


class NamedFunctionChoice(TypedDict):
    type: Literal["function"]
    function: Named


class NamedCustomChoice(TypedDict):
    type: Literal["custom"]
    custom: Named


class AllowedTools(TypedDict):
    mode: Literal["auto", "required"]
    tools: Sequence[Mapping[str, object]]


class AllowedToolsChoice(TypedDict):
    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


ToolChoice: TypeAlias = (
    Literal["none", "auto", "required"]
    | NamedFunctionChoice
    | NamedCustomChoice
    | AllowedToolsChoice
)

# --- the other structured parameters ------------------------------------------------------------


class ResponseFormatText(TypedDict):
    type: Literal["text"]


class ResponseFormatJSONObject(TypedDict):
    type: Literal["json_object"]


class JSONSchema(TypedDict, total=False):
    name: Required[str]
    description: str
    schema: Mapping[str, object]
    strict: bool | None


class ResponseFormatJSONSchema(TypedDict):
    type: Literal["json_schema"]
    json_schema: JSONSchema


class CustomVoice(TypedDict):
    id: str


class AudioOutput(TypedDict):
    voice: str | CustomVoice
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]


class StreamOptions(TypedDict, total=False):
    include_usage: bool
    include_obfuscation: bool


class Prediction(TypedDict):
    type: Literal["content"]
    content: TextContent


class PromptCacheOptions(TypedDict, total=False):
    mode: Literal["implicit", "explicit"]
    ttl: Literal["30m"]


class ModerationConfig(TypedDict):
    mode: Literal["score", "block"]


class ModerationPolicy(TypedDict, total=False):
    input: ModerationConfig | None
    output: ModerationConfig | None


class Moderation(TypedDict, total=False):
    model: Required[str]
    policy: ModerationPolicy | None


class WebSearchLocation(TypedDict, total=False):
    city: str
    country: str
    """Two letters, ISO 3166-1."""
    region: str
    timezone: str
    """IANA, like `Europe/Paris`."""


class WebSearchUserLocation(TypedDict):
    type: Literal["approximate"]
    approximate: WebSearchLocation


class WebSearchOptions(TypedDict, total=False):
    search_context_size: Literal["low", "medium", "high"]
    user_location: WebSearchUserLocation | None


# --- the request --------------------------------------------------------------------------------


class _Required(TypedDict):
    # A separate class: type checkers understand `Required[...]` in annotations that are not
    # evaluated, but `__required_keys__` does not list such keys.
    messages: Sequence[ChatCompletionMessageParam]
    model: str


class ChatCompletionParams(_Required, RequestOptions, total=False):
    """The parameters of `chat.completions.create`, except `stream`.

    Parameters that are left out are not sent; `None` is sent as `null`.
    """

    audio: AudioOutput | None
    frequency_penalty: float | None
    function_call: Literal["none", "auto"] | Named
    """Deprecated by the API in favour of `tool_choice`."""
    functions: Sequence[FunctionDefinition]
    """Deprecated by the API in favour of `tools`."""
    logit_bias: Mapping[str, int] | Mapping[int, int] | None
    """Token id -> bias from -100 to 100."""
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    """Deprecated by the API in favour of `max_completion_tokens`, but most other servers
    know only this one."""
    metadata: Mapping[str, str] | None
    modalities: Sequence[Literal["text", "audio"]] | None
    moderation: Moderation | None
    n: int | None
    parallel_tool_calls: bool
    prediction: Prediction | None
    presence_penalty: float | None
    prompt_cache_key: str | None
    prompt_cache_options: PromptCacheOptions
    prompt_cache_retention: Literal["in_memory", "24h"] | None
    """Deprecated by the API in favour of `prompt_cache_options`."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
    response_format: ResponseFormatText | ResponseFormatJSONSchema | ResponseFormatJSONObject
    safety_identifier: str | None
    seed: int | None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None
    stop: str | Sequence[str] | None
    store: bool | None
    stream_options: StreamOptions | None
    temperature: float | None
    tool_choice: ToolChoice
    tools: Sequence[FunctionTool | CustomTool]
    top_logprobs: int | None
    top_p: float | None
    user: str
    """Deprecated by the API in favour of `safety_identifier` and `prompt_cache_key`."""
    verbosity: Literal["low", "medium", "high"] | None
    web_search_options: WebSearchOptions
