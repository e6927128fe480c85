"""The form "ui": the UI message stream of Vercel's AI SDK, version 1, which its `useChat` reads.

    start, start-step, (a part: its start, deltas and end)*, finish-step, finish, [DONE]

Text and reasoning parts end before the next part begins. A tool call has no end event: its whole
input follows at the end of the answer, as the browser must not call the tool before. If the app
runs the call, its output follows, and the next answer is another step of the same message. A
refusal is sent as text, since there is no part for it.

https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..errors import OpenAIError
from ..jsontext import loads
from ..types.chat_chunk import ChatCompletionChunk
from ..types.chat_common import CompletionUsage
from ..types.growing_text import utf8
from ..types.think_tags import ThinkTagsOption
from .deltas import Call, CallDelta, Delta, SourceDelta, TextDelta
from .form import DONE, HEADERS, event
from .page_form import PageForm, Result

_FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
    "function_call": "tool-calls",
}


class UI(PageForm):
    """The parts of one message."""

    headers: ClassVar[Mapping[str, str]] = {**HEADERS, "x-vercel-ai-ui-message-stream": "v1"}

    def __init__(self, n: int, think_tags: ThinkTagsOption) -> None:
        super().__init__(n, think_tags)
        self._started = False
        self._open: tuple[str, str] | None = None
        """The kind and id of the text part that is open."""
        self._texts = 0
        self._ids: dict[Call, str] = {}
        self._ended: set[Call] = set()
        """The calls whose whole input has been sent."""

    def chunk(self, chunk: ChatCompletionChunk) -> bytes:
        return self._start() + super().chunk(chunk)

    def end(self, usage: CompletionUsage | None) -> bytes:
        reason = _FINISH_REASONS.get(self._deltas.finish_reason or "", "other")
        finish: dict[str, Any] = {"type": "finish", "finishReason": reason}
        if usage is not None:
            finish["messageMetadata"] = {"usage": _counts(usage)}
        return b"".join(
            [
                self._start(),
                self._rest(),
                *[self._call_ended(call) for call in self._deltas.calls],
                self._close(),
                event({"type": "finish-step"}),
                event(finish),
                DONE,
            ]
        )

    def error(self, error: OpenAIError) -> bytes:
        # Calls stay open: a tool must not be called, nor reported to the model as failed.
        failure = {"type": "error", "errorText": error.safe_message}
        return self._close() + event(failure, b"error")

    def _start(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        # Without an id: after tool results, the answer continues the browser's own message.
        return event({"type": "start"}) + event({"type": "start-step"})

    def _delta(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta):
            return self._text(delta)
        return self._source(delta) if isinstance(delta, SourceDelta) else self._call(delta)

    def _text(self, delta: TextDelta) -> bytes:
        kind = "reasoning" if delta.kind == "reasoning" else "text"
        begin = b""
        if self._open is None or self._open[0] != kind:
            begin = self._close()
            self._texts += 1
            self._open = kind, f"{kind}-{self._texts}"
            begin += event({"type": f"{kind}-start", "id": self._open[1]})
        return begin + event({"type": f"{kind}-delta", "id": self._open[1], "delta": delta.text})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        (kind, key), self._open = self._open, None
        return event({"type": f"{kind}-end", "id": key})

    def _source(self, delta: SourceDelta) -> bytes:
        part = {"type": "source-url", "sourceId": f"source-{delta.number}", "url": delta.url}
        return self._close() + event({**part, "title": delta.title} if delta.title else part)

    def _call(self, delta: CallDelta) -> bytes:
        call, begin = delta.call, b""
        key = self._id_of(call)
        if delta.begins:
            start = {"type": "tool-input-start", "toolCallId": key, "toolName": call.name}
            if call.is_custom:
                start["inputEncoding"] = "text"
            begin = self._close() + event(start)
        if not delta.arguments:
            return begin
        piece = {"type": "tool-input-delta", "toolCallId": key, "inputTextDelta": delta.arguments}
        return begin + event(piece)

    def _call_ended(self, call: Call) -> bytes:
        """The whole input of a call, once."""
        if call in self._ended:
            return b""
        self._ended.add(call)
        text = call.arguments
        head = {"toolCallId": self._id_of(call), "toolName": call.name}
        try:
            given = text if call.is_custom else loads(utf8(text)) if text.strip() else {}
            ended = event({"type": "tool-input-available", **head, "input": given})
        except ValueError:  # the model was cut off, or wrote NaN, which JavaScript cannot read
            reason = "The arguments are not valid JSON."
            ended = event({"type": "tool-input-error", **head, "input": text, "errorText": reason})
        return self._close() + ended

    def _result(self, call: Call, result: Result) -> bytes:
        key, text = self._id_of(call), result.content
        if result.failed:
            return event({"type": "tool-output-error", "toolCallId": key, "errorText": text})
        head = {"type": "tool-output-available", "toolCallId": key}
        try:
            return event({**head, "output": text if result.is_text else loads(utf8(text))})
        except ValueError:  # it contains NaN, which JavaScript cannot read
            return event({**head, "output": text})

    def _next_answer(self) -> bytes:
        return event({"type": "finish-step"}) + event({"type": "start-step"})

    def _id_of(self, call: Call) -> str:
        """Its id. The SDK tells calls apart by id, but not all servers send one for each."""
        if (key := self._ids.get(call)) is None:
            key = call.id or f"{self._deltas.id or 'call'}-{call.index}"
            while key in self._ids.values():
                key = f"{key}-{call.index}"
            self._ids[call] = key
        return key


def _counts(usage: CompletionUsage) -> dict[str, int | bool]:
    """The usage as the SDK names it."""
    counts: dict[str, int | bool] = {
        "inputTokens": usage.prompt_tokens,
        "outputTokens": usage.completion_tokens,
        "totalTokens": usage.total_tokens,
    }
    return counts | {"estimated": True} if usage.estimated else counts
