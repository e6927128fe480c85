"""The messages of a chat completion request, with every kind of message and part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Required, TypeAlias, TypedDict

from .chat_completion import ChatCompletionMessage
from .chat_tool_calls import ChatCompletionMessageToolCall

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
    """What `audio_part()` returns."""

    type: Required[Literal["input_audio"]]
    input_audio: Required[InputAudio]
    prompt_cache_breakpoint: PromptCacheBreakpoint


class FileFile(TypedDict, total=False):
    filename: str
    file_data: str
    """A data URL."""
    file_id: str


class ContentPartFile(TypedDict, total=False):
    """What `file_part()` returns."""

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
