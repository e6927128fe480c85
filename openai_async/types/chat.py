"""The responses of the Chat Completions API, whole and streamed.

https://platform.openai.com/docs/api-reference/chat - the parameters are in `chat_params`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from attrs import Factory, define, field, setters

from .base import APIObject, APIResponse, note_change
from .normalize import as_call, content_text, fails, finish_reason

FinishReason: TypeAlias = (
    Literal["stop", "length", "tool_calls", "content_filter", "function_call"] | str
)

_FINISH_REASON = {
    "read": finish_reason,
    "as_is": frozenset(("stop", "length", "tool_calls", "content_filter", "function_call")),
}


# --- usage and logprobs, whole or streamed ------------------------------------------------------


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class CompletionTokensDetails(APIObject):
    """What the completion tokens were used for."""

    accepted_prediction_tokens: int | None = None
    audio_tokens: int | None = None
    reasoning_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    text_tokens: int | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class PromptTokensDetails(APIObject):
    """What the prompt tokens were used for."""

    audio_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    image_tokens: int | None = None
    text_tokens: int | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class CompletionUsage(APIObject):
    """Tokens used by a request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    completion_tokens_details: CompletionTokensDetails | None = None
    prompt_tokens_details: PromptTokensDetails | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class TopLogprob(APIObject):
    """One of the most likely tokens at a position."""

    token: str = ""
    logprob: float = 0.0
    bytes: list[int] | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionTokenLogprob(APIObject):
    """A token and how likely it was."""

    token: str = ""
    logprob: float = 0.0
    """Natural logarithm; -9999.0 stands for "very unlikely"."""
    bytes: list[int] | None = None
    """The token's UTF-8 bytes: a character may be spread over several tokens."""
    top_logprobs: list[TopLogprob] = Factory(list)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceLogprobs(APIObject):
    """Log probabilities of the tokens of a choice."""

    content: list[ChatCompletionTokenLogprob] | None = None
    refusal: list[ChatCompletionTokenLogprob] | None = None


# --- the message --------------------------------------------------------------------------------


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Function(APIObject):
    """The function that the model calls."""

    name: str = ""
    arguments: str = ""
    """JSON text as the model wrote it; it may be invalid."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Custom(APIObject):
    """The custom tool that the model calls."""

    name: str = ""
    input: str = ""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionMessageFunctionToolCall(APIObject):
    """A call to a function tool."""

    id: str = ""
    type: Literal["function"] = "function"
    function: Function = Factory(Function)

    _prepared_unless: ClassVar[str] = "function"

    @classmethod
    def _prepared(cls, value: dict[str, Any]) -> dict[str, Any]:
        return as_call(value)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionMessageCustomToolCall(APIObject):
    """A call to a custom tool."""

    id: str = ""
    type: Literal["custom"] = "custom"
    custom: Custom = Factory(Custom)


ChatCompletionMessageToolCall: TypeAlias = (
    ChatCompletionMessageFunctionToolCall | ChatCompletionMessageCustomToolCall
)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class AnnotationURLCitation(APIObject):
    """A web page that was cited; the indexes count characters of the message."""

    start_index: int = 0
    end_index: int = 0
    title: str = ""
    url: str = ""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Annotation(APIObject):
    """An annotation of part of the message."""

    type: str = "url_citation"
    url_citation: AnnotationURLCitation | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionAudio(APIObject):
    """The spoken answer."""

    id: str = ""
    data: str = ""
    """The audio in base64, in the format that was requested."""
    expires_at: int = 0
    """Unix time, in seconds."""
    transcript: str = ""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionMessage(APIObject):
    """The model's message. It can be put into the `messages` of the next request as it is."""

    role: str = "assistant"
    content: str | None = field(default=None, metadata={"read": content_text, "as_is": str})
    refusal: str | None = None
    tool_calls: list[ChatCompletionMessageToolCall] | None = None
    annotations: list[Annotation] | None = None
    audio: ChatCompletionAudio | None = None
    function_call: Function | None = None
    """Deprecated by the API in favour of `tool_calls`."""


# --- moderation ---------------------------------------------------------------------------------


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ModerationResult(APIObject):
    """What a moderation model found."""

    type: str = "moderation_result"
    model: str = ""
    flagged: bool = False
    categories: dict[str, bool] = Factory(dict)
    category_scores: dict[str, float] = Factory(dict)
    category_applied_input_types: dict[str, list[str]] = Factory(dict)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ModerationOutcome(APIObject):
    """Results (`type` "moderation_results") or, with `type` "error", why there are none."""

    type: str = "moderation_results"
    model: str | None = None
    results: list[ModerationResult] | None = None
    code: str | None = None
    message: str | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionModeration(APIObject):
    """Moderation of the input and the output, if it was requested."""

    input: ModerationOutcome | None = None
    output: ModerationOutcome | None = None


# --- whole --------------------------------------------------------------------------------------


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Choice(APIObject):
    """One answer out of `n`."""

    index: int = 0
    finish_reason: FinishReason | None = field(default=None, metadata=_FINISH_REASON)
    message: ChatCompletionMessage = field(
        factory=ChatCompletionMessage, metadata={"essential": True}
    )
    logprobs: ChoiceLogprobs | None = None

    _prepared_unless: ClassVar[str] = "message"

    @classmethod
    def _prepared(cls, value: dict[str, Any]) -> dict[str, Any]:
        """The choice with a `message`, even where a gateway sent a `delta`."""
        delta = value.get("delta")
        return {**value, "message": delta} if delta and value.get("message") is None else value


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletion(APIResponse):
    """A complete answer."""

    _requires: ClassVar[str] = "choices"

    id: str = ""
    object: str = "chat.completion"
    created: int = 0
    """Unix time, in seconds."""
    model: str = ""
    choices: list[Choice] = field(factory=list, metadata={"essential": True})
    usage: CompletionUsage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    metadata: dict[str, str] | None = None
    moderation: ChatCompletionModeration | None = None

    @classmethod
    def _matches(cls, value: dict[str, Any]) -> bool:
        return value.get("choices") is not None

    @classmethod
    def _reports_failure(cls, value: dict[str, Any]) -> bool:
        choices = value.get("choices")
        if type(choices) is not list:
            return False
        for choice in choices:
            if fails(choice):
                return True
        return "x_groq" in value and fails(value["x_groq"])

    def _unreadable(self) -> Any:
        """Tool calls of the wrong shape, if there is no text either."""
        for choice in self.choices:
            message = choice.message
            came = (message._raw or {}).get("tool_calls")
            if came and not message.tool_calls and not message.content:
                return came
        return None

    @property
    def text(self) -> str:
        """The text of choice 0; "" if it has none (a refusal, a tool call)."""
        content = self.choices[0].message.content if self.choices else None
        return content if isinstance(content, str) else ""


# --- streamed -----------------------------------------------------------------------------------


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceDeltaFunction(APIObject):
    """A piece of a function call."""

    name: str | None = None
    arguments: str | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceDeltaCustom(APIObject):
    """A piece of a custom tool call."""

    name: str | None = None
    input: str | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceDeltaToolCall(APIObject):
    """A piece of a tool call; pieces of one call share its `index`."""

    index: int = 0
    id: str | None = None
    type: str | None = None
    function: ChoiceDeltaFunction | None = None
    custom: ChoiceDeltaCustom | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceDelta(APIObject):
    """What a chunk adds to the message."""

    content: str | None = field(default=None, metadata={"read": content_text, "as_is": str})
    role: str | None = None
    refusal: str | None = None
    tool_calls: list[ChoiceDeltaToolCall] | None = None
    function_call: ChoiceDeltaFunction | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChunkChoice(APIObject):
    """What a chunk adds to one choice."""

    index: int = 0
    delta: ChoiceDelta = field(factory=ChoiceDelta, metadata={"essential": True})
    finish_reason: FinishReason | None = field(default=None, metadata=_FINISH_REASON)
    logprobs: ChoiceLogprobs | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionChunk(APIObject):
    """One event of a streamed answer."""

    id: str = ""
    object: str = "chat.completion.chunk"
    created: int = 0
    model: str = ""
    choices: list[ChunkChoice] = field(factory=list, metadata={"essential": True})
    usage: CompletionUsage | None = None
    """Only in the last chunk, with `stream_options={"include_usage": True}`."""
    service_tier: str | None = None
    system_fingerprint: str | None = None
    obfuscation: str | None = None
    """Padding that hides the length of the text from anyone watching the network."""
    moderation: ChatCompletionModeration | None = None
    _text: str | None = field(
        default=None, init=False, repr=False, eq=False, on_setattr=setters.NO_OP
    )

    @property
    def text(self) -> str:
        """The text this chunk adds to choice 0; "" if none."""
        if self._text is not None:  # the text is not in a delta
            return self._text
        return "".join(c.delta.content or "" for c in self.choices if c.index == 0)
