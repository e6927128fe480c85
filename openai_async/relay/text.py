"""The form "text": just what a page shows, as small objects with a `type`."""

from __future__ import annotations

from typing import Any

from ..errors import OpenAIError
from ..types.chat_common import CompletionUsage
from .deltas import Call, CallDelta, Delta, SourceDelta, TextDelta
from .form import event
from .page_form import PageForm, Result


class Text(PageForm):
    """Text, tool calls and their results, then the usage and the finish reason."""

    def end(self, usage: CompletionUsage | None) -> bytes:
        events = [self._rest()]
        if usage is not None:
            events.append(event({"type": "usage", **counts(usage)}))
        events.append(event({"type": "done", "finish_reason": self._deltas.finish_reason}))
        return b"".join(events)

    def error(self, error: OpenAIError) -> bytes:
        return event({"type": "error", "message": error.safe_message}, b"error")

    def _delta(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta):
            return event({"type": delta.kind, "text": delta.text})
        if isinstance(delta, SourceDelta):
            return event({"type": "source", "url": delta.url, "title": delta.title})
        return event(_call(delta))

    def _call_ended(self, call: Call) -> bytes:
        return b""

    def _result(self, call: Call, result: Result) -> bytes:
        told = {"type": "tool_result", "index": call.index, "content": result.content}
        return event(told | {"failed": True} if result.failed else told)

    def _next_answer(self) -> bytes:
        return b""


def _call(delta: CallDelta) -> dict[str, Any]:
    """A piece of a tool call; a piece with a name begins the call."""
    call, piece = delta.call, {"type": "tool_call", "index": delta.call.index}
    if delta.begins:
        piece |= {"id": call.id, "name": call.name} if call.id else {"name": call.name}
    return piece | {"arguments": delta.arguments}


def counts(usage: CompletionUsage) -> dict[str, int | bool]:
    """The usage, with a mark if it is estimated."""
    numbers: dict[str, int | bool] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    return numbers | {"estimated": True} if usage.estimated else numbers
