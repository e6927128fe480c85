"""The choices of an answer: text that shows what was read, JSON, or a tool call."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import attrs

from ..jsontext import dumps
from .chat_request import ChatRequest
from .schema import minimal_instance
from .tokens import tokenize

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
_WORD = re.compile(r"\w+")


@attrs.frozen
class Choice:
    """One choice of the answer: its message, split into tokens, and why it ended."""

    tokens: list[str] = attrs.field(factory=list)
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] = attrs.field(factory=list)
    finish_reason: str = "stop"
    extra: dict[str, Any] = attrs.field(factory=dict)


def compose(request: ChatRequest, pictures: list[str], index: int) -> Choice:
    """Choice number `index`; `pictures` describes those of the last question."""
    tool = _tool_to_call(request)
    if tool is not None:
        return Choice(
            tool_calls=[_call(request, tool, index)],
            finish_reason="tool_calls",
        )
    return _limited(_content(request, pictures, index), request)


def _limited(text: str, request: ChatRequest) -> Choice:
    """The text up to the first stop sequence, truncated to the tokens allowed."""
    found = [place for place in map(text.find, request.stop) if place >= 0]
    text = text[: min(found, default=len(text))]
    tokens = tokenize(text)
    if request.max_tokens is not None and len(tokens) > request.max_tokens:
        tokens = tokens[: request.max_tokens]
        return Choice(tokens, "".join(tokens), finish_reason="length")
    return Choice(tokens, text)


def _content(request: ChatRequest, pictures: list[str], index: int) -> str:
    kind = (request.response_format or {}).get("type")
    prose = _prose(request, pictures, index)
    if kind == "json_schema" and request.response_format is not None:
        schema = request.response_format["json_schema"].get("schema", {"type": "object"})
        return dumps(minimal_instance(schema, _key_word(request))).decode()
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
    last = request.messages[-1]
    if last.role in ("tool", "function"):
        sentences.append(f"The tool came back with: “{_quote(last.text)}”")
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


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[: _LONGEST_QUOTE - 1]}…"


def _listed(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def _tool_to_call(request: ChatRequest) -> dict[str, Any] | None:
    tools, tool_choice = request.tools, request.tool_choice
    if not tools or tool_choice == "none":
        return None
    if tool_choice == "required":
        return _mentioned(request) or tools[0]
    if isinstance(tool_choice, dict):
        if tool_choice["type"] != "allowed_tools":
            kind = tool_choice["type"]
            wanted = (kind, tool_choice[kind]["name"])
            return next(tool for tool in tools if (tool["type"], _tool_name(tool)) == wanted)
        allowed = tool_choice.get("allowed_tools")
        if isinstance(allowed, dict) and allowed.get("mode") == "required":
            # The list repeats tools of the request by name; an unknown one allows nothing.
            return next((tool for tool in tools if _is_allowed(tool, allowed.get("tools"))), None)
    # After a tool's result comes text, or a conversation would never end.
    return _mentioned(request) if request.messages[-1].role == "user" else None


def _is_allowed(tool: dict[str, Any], allowed: object) -> bool:
    kind, name = tool["type"], _tool_name(tool)
    listed = allowed if isinstance(allowed, list) else []
    details = [one.get(kind) for one in listed if isinstance(one, dict)]
    return any(isinstance(one, dict) and one.get("name") == name for one in details)


def _mentioned(request: ChatRequest) -> dict[str, Any] | None:
    question = request.last_user_message
    text = question.text if question is not None else ""
    return next((tool for tool in request.tools if _tool_name(tool) in text), None)


def _tool_name(tool: dict[str, Any]) -> str:
    return str(tool[tool["type"]]["name"])


def _call(request: ChatRequest, tool: dict[str, Any], index: int) -> dict[str, Any]:
    kind, name, word = tool["type"], _tool_name(tool), _key_word(request)
    if kind == "custom":
        return {"id": _call_id(name, index), "type": kind, kind: {"name": name, "input": word}}
    arguments = minimal_instance(tool[kind].get("parameters") or {"type": "object"}, word)
    return {
        "id": _call_id(f"{request.seed}{name}{request.messages[-1].text}", index),
        "type": kind,
        kind: {"name": name, "arguments": dumps(arguments).decode()},
    }


def _call_id(text: str, index: int) -> str:
    return f"call_{hashlib.sha256(f'{index}:{text}'.encode()).hexdigest()[:24]}"


def _key_word(request: ChatRequest) -> str:
    """The most telling word of the question: a name if there is one, else the longest."""
    question = request.last_user_message
    names = {_tool_name(tool) for tool in request.tools}
    text = question.text if question is not None else ""
    words: list[str] = [word for word in _WORD.findall(text) if word not in names]
    capitalised = [word for word in words[1:] if word[0].isupper() and len(word) > 1]
    return (capitalised or sorted(words, key=len, reverse=True) or ["something"])[0]
