"""The structured parameters of a chat completion request, except messages: tools, formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, Required, TypeAlias, TypedDict

from .chat_message_params import TextContent

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


class ToolFunction(Protocol):
    """A Python function as a tool, or an `openai_async.Tool`.

    A `Callable[..., object]` would say more, but it contains an `Any`, and then type checkers
    cannot tell the overloads of `create` apart.
    """

    @property
    def __name__(self) -> str: ...


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
