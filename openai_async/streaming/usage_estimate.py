"""An estimate of the tokens that a stream has used, where the server has not reported them.

It is made from the length of what was sent and received, at four bytes a token, as in pacing. That
is close enough to add up the cost of streams that were left early.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..middleware.pacing.token_estimate import CHARACTERS, UNKNOWN_SIZE, image_tokens
from ..types.chat_common import CompletionUsage, EstimatedUsage
from ..types.chat_completion import ChatCompletion, ChatCompletionMessage

# How the base64 of pictures, files and audio begins in a request.
_BASE64 = (b";base64,", b'"data":"')


def prompt_size(body: bytes) -> int:
    """The length of a request as text. Each picture, recording or file counts as a text with as
    many tokens as a picture of unknown size has, however long it is.
    """
    size = len(body)
    for start in _BASE64:
        at = body.find(start)
        while at >= 0:
            end = max(at + len(start), body.find(b'"', at + len(start)))
            size += image_tokens(*UNKNOWN_SIZE) * CHARACTERS - (end - at)
            at = body.find(start, end)
    return max(0, size)


def estimated_usage(prompt_size: int, answer: ChatCompletion) -> EstimatedUsage:
    """The usage of a request of this size, and of what has arrived of its answer."""
    written = sum(_size(choice.message) for choice in answer.choices)
    prompt, completion = (-(-size // CHARACTERS) for size in (prompt_size, written))
    return EstimatedUsage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )


def total_usage(usages: Iterable[CompletionUsage | None]) -> CompletionUsage:
    """The tokens of several requests; estimated if any of them is."""
    known = [usage for usage in usages if usage is not None]
    kind = EstimatedUsage if any(usage.estimated for usage in known) else CompletionUsage
    return kind(
        prompt_tokens=sum(usage.prompt_tokens for usage in known),
        completion_tokens=sum(usage.completion_tokens for usage in known),
        total_tokens=sum(usage.total_tokens for usage in known),
    )


def _size(message: ChatCompletionMessage) -> int:
    """The bytes that the model has written."""
    texts = [message.content, message.reasoning, message.refusal]
    for call in message.tool_calls or ():
        called: Any = getattr(call, "function", None) or getattr(call, "custom", None)
        texts += [getattr(called, name, None) for name in ("name", "arguments", "input")]
    return sum(len(text.encode("utf-8", "replace")) for text in texts if isinstance(text, str))
