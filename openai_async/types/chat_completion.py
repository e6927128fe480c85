"""A chat completion: the answer that is not streamed.

https://platform.openai.com/docs/api-reference/chat - the parameters are in `chat_params`.

Classes that few answers need are in modules of their own, which are imported with the first value
that needs them: defining a class takes attrs 0.3 ms, and together they would be a tenth of the time
to a program's first answer. All of them can be imported from `types.chat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field

from .._submodules import LazyModule
from .base import APIObject, APIResponse, note_change
from .chat_common import FINISH_REASON, CompletionUsage, FinishReason
from .normalize import content_text, fails
from .reasoning import ThinkTags, reasoning_text, without_reasoning

if TYPE_CHECKING:
    from . import chat_logprobs, chat_message_parts, chat_moderation, chat_tool_calls
else:
    chat_logprobs = LazyModule(f"{__package__}.chat_logprobs")
    chat_message_parts = LazyModule(f"{__package__}.chat_message_parts")
    chat_moderation = LazyModule(f"{__package__}.chat_moderation")
    chat_tool_calls = LazyModule(f"{__package__}.chat_tool_calls")


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionMessage(APIObject):
    """The model's message. It can be put into the `messages` of the next request as it is."""

    role: str = "assistant"
    content: str | None = field(default=None, metadata={"read": content_text, "as_is": str})
    refusal: str | None = None
    tool_calls: list[chat_tool_calls.ChatCompletionMessageToolCall] | None = None
    annotations: list[chat_message_parts.Annotation] | None = None
    audio: chat_message_parts.ChatCompletionAudio | None = None
    function_call: chat_tool_calls.Function | None = None
    """Deprecated by the API in favour of `tool_calls`."""

    @property
    def reasoning(self) -> str | None:
        """The model's reasoning, as far as the server shows it, whatever the vendor calls it.

        It is read from `reasoning_content`, `reasoning`, `reasoning_details` and thinking parts of
        the content. As received, with signatures and encrypted parts, it is in `.extra`, and goes
        back to the server with the message.
        """
        return reasoning_text(self._raw)

    def without_reasoning(self) -> ChatCompletionMessage:
        """A copy without any reasoning, for a vendor other than the one that sent it: many refuse
        fields that they do not know.
        """
        return ChatCompletionMessage.from_dict(without_reasoning(self.to_dict()))

    def split_think_tags(self, *, opened: bool = False) -> tuple[str, str]:
        """The reasoning and the text, for a server that leaves reasoning in the text.

        In addition to `.reasoning`, a block `<think>...</think>` at the beginning of the content
        counts as reasoning.

        Args:
            opened: the prompt ends with `<think>`, so that the content begins inside the block.
        """
        reasoning, text = ThinkTags(opened=opened).split(self.content or "", last=True)
        return (self.reasoning or "") + reasoning, text

    def _repr_markdown_(self) -> str:
        """How notebooks display it: text, refusal and tool calls."""
        from .notebooks import code, safe_markdown

        parts = [safe_markdown(self.content)] if self.content else []
        if self.refusal:
            parts.append(f"**Refusal:** {safe_markdown(self.refusal)}")
        for call in self.tool_calls or []:
            if call.type == "function":
                name, given = call.function.name, call.function.arguments
            else:
                name, given = call.custom.name, call.custom.input
            parts.append(f"**Tool call:** {code(name)} {code(given)}")
        return "\n\n".join(parts)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Choice(APIObject):
    """One answer out of `n`."""

    index: int = 0
    finish_reason: FinishReason | None = field(default=None, metadata=FINISH_REASON)
    message: ChatCompletionMessage = field(
        factory=ChatCompletionMessage, metadata={"essential": True}
    )
    logprobs: chat_logprobs.ChoiceLogprobs | None = None

    _prepared_unless: ClassVar[str] = "message"

    @classmethod
    def _prepared(cls, value: dict[str, Any]) -> dict[str, Any]:
        """The choice with a `message`, even where a gateway sent a `delta`."""
        delta = value.get("delta")
        return {**value, "message": delta} if delta and value.get("message") is None else value

    def _repr_markdown_(self) -> str:
        """How notebooks display it."""
        from .notebooks import code

        shown = self.message._repr_markdown_()
        if self.finish_reason in (None, "stop", "tool_calls"):
            return shown
        return f"{shown}\n\n**Finish reason:** {code(self.finish_reason)}"


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
    moderation: chat_moderation.ChatCompletionModeration | None = None

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

    @property
    def reasoning(self) -> str:
        """The reasoning of choice 0, whatever the vendor calls it; "" if there is none."""
        return (self.choices[0].message.reasoning or "") if self.choices else ""

    @property
    def message(self) -> ChatCompletionMessage:
        """The message of choice 0, for the next request; an empty one if there is no choice."""
        return self.choices[0].message if self.choices else ChatCompletionMessage()

    @property
    def tool_calls(self) -> list[chat_tool_calls.ChatCompletionMessageToolCall]:
        """The tool calls of choice 0; [] if there are none."""
        return self.message.tool_calls or []

    @property
    def total_tokens(self) -> int:
        """`usage.total_tokens`; 0 if the server did not send the usage."""
        return self.usage.total_tokens if self.usage else 0

    def _repr_markdown_(self) -> str:
        """How notebooks display it: each choice, and below them the model and the tokens."""
        from .notebooks import code

        parts = []
        for choice in self.choices:
            title = [f"**Choice {choice.index}**"] if len(self.choices) > 1 else []
            parts += [*title, choice._repr_markdown_()]
        facts = [code(self.model)] if self.model else []
        if self.usage:
            counts = f"{self.usage.prompt_tokens} + {self.usage.completion_tokens}"
            facts.append(f"{self.usage.total_tokens} tokens ({counts})")
        return "\n\n".join((*parts, ", ".join(facts)))
