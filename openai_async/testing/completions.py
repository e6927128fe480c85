"""The answer as the API's objects: one chat completion, or the chunks of a stream."""

import hashlib
import itertools
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from ..jsontext import dumps
from .chat_request import ChatRequest
from .choices import Choice
from .sending import Event
from .tokens import count_tokens, token_logprobs, tokenize

_DONE = Event(b"data: [DONE]\n\n", closing=True)


@attrs.frozen
class Answer:
    """All choices of one answer, and its usage."""

    request: ChatRequest
    choices: list[Choice]
    image_tokens: int = 0
    scripted_usage: dict[str, Any] | None = None
    id: str = attrs.field(factory=lambda: f"chatcmpl-{uuid.uuid4().hex[:29]}")
    created: int = attrs.field(factory=lambda: int(time.time()))

    @property
    def usage(self) -> dict[str, Any]:
        if self.scripted_usage is not None:
            return self.scripted_usage
        prompt = self.request.prompt_text_tokens + self.image_tokens
        reasoning = sum(len(choice.reasoning) for choice in self.choices)
        spoken = sum(len(choice.speech.tokens) for choice in self.choices if choice.speech)
        completion = reasoning + spoken + sum(map(_completion_tokens, self.choices))
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": spoken,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def completion(self) -> dict[str, Any]:
        choices = [
            {
                "index": index,
                "message": _message(choice),
                "logprobs": self._logprobs(choice, choice.tokens, 0),
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(self.choices)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self.usage}

    def events(self) -> Iterator[Event]:
        """The stream: each choice's role, the tokens in turn, each finish_reason, the usage."""
        for index, choice in enumerate(self.choices):
            start = None if choice.content is None else ""
            yield self._chunk(index, {"role": "assistant", "content": start, "refusal": None})
        streams = [self._token_chunks(index) for index in range(len(self.choices))]
        for turn in itertools.zip_longest(*streams):
            yield from (event for event in turn if event is not None)
        for index, choice in enumerate(self.choices):
            yield self._chunk(index, {}, finish_reason=choice.finish_reason, closing=True)
        if self.request.include_usage:
            last = {**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage}
            yield Event(_sse(last), closing=True)
        yield _DONE

    def _token_chunks(self, index: int) -> Iterator[Event]:
        choice = self.choices[index]
        field = "refusal" if choice.content is None else "content"
        for token in choice.reasoning:
            yield self._chunk(index, {"reasoning_content": token}, is_token=True)
        if choice.extra:
            yield self._chunk(index, choice.extra)
        if choice.refusal is not None and choice.content is not None:
            yield self._chunk(index, {"refusal": choice.refusal})
        for place, token in enumerate(choice.tokens):
            logprobs = self._logprobs(choice, [token], place)
            yield self._chunk(index, {field: token}, logprobs=logprobs, is_token=True)
        if choice.speech is not None:
            for audio in choice.speech.deltas():
                yield self._chunk(index, {"audio": audio}, is_token="id" not in audio)
        for place, call in enumerate(choice.tool_calls):
            for delta, is_token in _call_deltas(place, call):
                yield self._chunk(index, {"tool_calls": [delta]}, is_token=is_token)

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        *,
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
        is_token: bool = False,
        closing: bool = False,
    ) -> Event:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        if self.request.include_usage:
            chunk["usage"] = None
        return Event(_sse(chunk), is_token, closing)

    def _head(self, kind: str) -> dict[str, Any]:
        model = self.request.model
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": model,
            "service_tier": "default",
            "system_fingerprint": f"fp_{hashlib.sha256(model.encode()).hexdigest()[:10]}",
        }

    def _logprobs(self, choice: Choice, tokens: Iterable[str], first: int) -> dict[str, Any] | None:
        if not self.request.logprobs or not choice.tokens:
            return None
        values = token_logprobs(tokens, first, self.request.top_logprobs)
        if choice.content is None:
            return {"content": None, "refusal": values}
        return {"content": values, "refusal": None}


def _message(choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.content,
        "refusal": choice.refusal,
        "annotations": [],
    }
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.speech is not None:
        message["audio"] = choice.speech.to_dict()
    if choice.tool_calls:
        message["tool_calls"] = choice.tool_calls
    return {**message, **choice.extra}


def _call_text(call: dict[str, Any]) -> tuple[str, str]:
    """The field that holds a call's text, and the text."""
    field = "input" if call["type"] == "custom" else "arguments"
    return field, call[call["type"]].get(field, "")


def _call_deltas(place: int, call: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    """First the tool's name with empty arguments, then the arguments in pieces."""
    kind = call["type"]
    field, text = _call_text(call)
    yield {"index": place, **call, kind: {**call[kind], field: ""}}, False
    for token in tokenize(text):
        yield {"index": place, kind: {field: token}}, True


def _completion_tokens(choice: Choice) -> int:
    calls = sum(
        count_tokens(call[call["type"]]["name"]) + count_tokens(_call_text(call)[1])
        for call in choice.tool_calls
    )
    return len(choice.tokens) + calls


def _sse(payload: dict[str, Any]) -> bytes:
    return b"data: " + dumps(payload) + b"\n\n"
