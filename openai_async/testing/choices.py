"""The choices of an answer: text that shows what was read, JSON, or tool calls."""

import itertools
from collections.abc import Iterable
from typing import Any

import attrs

from ..jsontext import dumps
from .chat_request import ChatRequest
from .prompt_words import prompt_words
from .reasoning import reasoning
from .schema_answers import schema_answer
from .speech import Speech
from .tokens import tokenize
from .tool_calls import tool_calls

_OPENINGS = (
    "Happy to help!",
    "Good question.",
    "Thanks for writing.",
    "Let me see.",
    "Certainly.",
    "Here is what I can tell you.",
    "With pleasure.",
)
_ASKED = (
    "You asked: “{}”",
    "Your last words to me were: “{}”",
    "You would like an answer to this: “{}”",
    "The question in front of me is: “{}”",
    "I read your question twice: “{}”",
)
_CLOSINGS = (
    "I am only a local stand-in, so take this answer as a friendly nod.",
    "A real model would now say something clever; I simply say hello.",
    "Ask me anything else, I answer everything in just this way.",
    "There is no model behind me, which makes me a very patient listener.",
    "That is all a local server can tell, and it tells it gladly.",
    "Whenever you like, send the next message and we go on from here.",
)
_LONGEST_QUOTE = 160


@attrs.frozen
class Choice:
    """One choice of the answer: its message, split into tokens, and why it ended.

    The reasoning is split, too, and comes before everything else.
    """

    tokens: list[str] = attrs.field(factory=list)
    reasoning: list[str] = attrs.field(factory=list)
    content: str | None = None
    refusal: str | None = None
    speech: Speech | None = None
    tool_calls: list[dict[str, Any]] = attrs.field(factory=list)
    finish_reason: str = "stop"
    extra: dict[str, Any] = attrs.field(factory=dict)


def compose(request: ChatRequest, pictures: list[str], index: int) -> Choice:
    """Choice number `index`; `pictures` describes those of the last question."""
    thoughts = tokenize(reasoning(request) or "")
    calls = tool_calls(request, index)
    if calls:
        return Choice(reasoning=thoughts, tool_calls=calls, finish_reason="tool_calls")
    text = _content(request, pictures, index)
    stops = [place for place in map(text.find, request.stop) if place >= 0]
    tokens = tokenize(text[: min(stops, default=len(text))])
    choice = _limited(thoughts, tokens, request.max_tokens)
    if request.spoken_format is None:
        return choice
    speech = Speech(choice.tokens, request.spoken_format)
    return attrs.evolve(choice, tokens=[], content=None, speech=speech)


def _limited(thoughts: list[str], tokens: list[str], limit: int | None) -> Choice:
    """As much of the answer as is allowed; the reasoning counts, as with OpenAI."""
    if limit is None or len(thoughts) + len(tokens) <= limit:
        return Choice(tokens, thoughts, "".join(tokens))
    thoughts = thoughts[:limit]
    tokens = tokens[: limit - len(thoughts)]
    return Choice(tokens, thoughts, "".join(tokens), finish_reason="length")


def _content(request: ChatRequest, pictures: list[str], index: int) -> str:
    kind = (request.response_format or {}).get("type")
    prose = _prose(request, pictures, index)
    if kind == "json_schema" and request.response_format is not None:
        schema = request.response_format["json_schema"].get("schema", {"type": "object"})
        answer = schema_answer(schema, prompt_words(request), request.seed + index)
        return dumps(answer).decode()
    if kind == "json_object":
        answer = {"answer": prose, "messages": len(request.messages)}
        return dumps(answer).decode()
    return prose


def _prose(request: ChatRequest, pictures: list[str], index: int) -> str:
    # Mixed radix: all combinations before the first repeats, so 128 choices are 128 answers.
    variant = request.seed + index
    first = variant % len(_OPENINGS)
    second = variant // len(_OPENINGS) % len(_ASKED)
    third = variant // (len(_OPENINGS) * len(_ASKED))
    sentences = [_OPENINGS[first]]
    question = request.last_user_message
    if question is not None and question.text.strip():
        sentences.append(_ASKED[second].format(_quote(question.text)))
    if pictures:
        sentences.append(f"You showed me {_listed(pictures)}.")
    if results := _tool_results(request):
        noun = "tool" if len(results) == 1 else "tools"
        sentences.append(f"The {noun} came back with: {_listed(results)}")
    sentences.append(_reading(request))
    sentences.append(_CLOSINGS[(third + first + second) % len(_CLOSINGS)])
    return " ".join(sentences)


def _reading(request: ChatRequest) -> str:
    count = len(request.messages)
    characters = sum(len(message.text) for message in request.messages)
    roles = _listed(dict.fromkeys(message.role for message in request.messages))
    noun = "message" if count == 1 else "messages"
    instruction = next(
        (one.text for one in request.messages if one.role in ("system", "developer")), ""
    )
    sentence = f"I read {count} {noun} from {roles}, {characters} characters in all"
    if instruction.strip():
        return f"{sentence}, and keep your instruction in mind: “{_quote(instruction)}”"
    return f"{sentence}."


def _tool_results(request: ChatRequest) -> list[str]:
    """What the tools have returned since the model called them, quoted."""
    latest = itertools.takewhile(
        lambda message: message.role in ("tool", "function"), reversed(request.messages)
    )
    return [f"“{_quote(message.text)}”" for message in latest][::-1]


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[: _LONGEST_QUOTE - 1]}…"


def _listed(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last
