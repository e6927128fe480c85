"""Which tools an answer calls, and with what arguments."""

import hashlib
import re
from typing import Any

from ..jsontext import dumps
from .chat_request import ChatRequest
from .prompt_words import prompt_words
from .schema_answers import schema_answer

# A name is words joined by underscores, hyphens or capitals.
_WORD_OF_NAME = re.compile(r"[^\W_]+")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def tool_calls(request: ChatRequest, index: int) -> list[dict[str, Any]]:
    """The calls of choice number `index`; none if the answer is text.

    With `tool_choice` "auto", the tools that the question mentions are called: by name
    (`get_weather`), or by the words of the name after its first ("the weather in Paris").
    """
    tools = _tools_to_call(request) if request.tools else []
    if not request.parallel_tool_calls:
        tools = tools[:1]
    return [_call(request, tool, index, place) for place, tool in enumerate(tools)]


def _tools_to_call(request: ChatRequest) -> list[dict[str, Any]]:
    tools, mode = _available(request)
    if mode == "none":
        return []
    question = request.last_user_message
    text = question.text if question is not None else ""
    mentioned = [tool for tool in tools if _is_mentioned(_tool_name(tool), text)]
    if mode == "required":
        return mentioned or tools[:1]
    # After a tool's result comes text, or a conversation would never end.
    answered = request.messages[-1].role in ("tool", "function", "assistant")
    return [] if answered else mentioned


def _available(request: ChatRequest) -> tuple[list[dict[str, Any]], str]:
    """The tools that may be called, and whether one must be: "none", "auto" or "required"."""
    tools, choice = request.tools, request.tool_choice
    if not isinstance(choice, dict):
        return tools, choice or "auto"
    kind = choice["type"]
    if kind != "allowed_tools":
        wanted = (kind, choice[kind]["name"])
        return [tool for tool in tools if (tool["type"], _tool_name(tool)) == wanted], "required"
    allowed = choice.get("allowed_tools")
    if not isinstance(allowed, dict):
        return tools, "auto"
    mode = "required" if allowed.get("mode") == "required" else "auto"
    # The list repeats tools of the request by name; an unknown one allows nothing.
    return [tool for tool in tools if _is_allowed(tool, allowed.get("tools"))], mode


def _is_allowed(tool: dict[str, Any], allowed: object) -> bool:
    kind, name = tool["type"], _tool_name(tool)
    listed = allowed if isinstance(allowed, list) else []
    details = [one.get(kind) for one in listed if isinstance(one, dict)]
    return any(isinstance(one, dict) and one.get("name") == name for one in details)


def _is_mentioned(name: str, text: str) -> bool:
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.ASCII):
        return True
    words = [word.lower() for word in _WORD_OF_NAME.findall(_HUMPS.sub(" ", name))]
    said = {word.lower() for word in re.findall(r"\w+", text)}
    return bool(words) and said.issuperset(words[1:] or words)


def _tool_name(tool: dict[str, Any]) -> str:
    return str(tool[tool["type"]]["name"])


def _call(request: ChatRequest, tool: dict[str, Any], index: int, place: int) -> dict[str, Any]:
    kind, name, words = tool["type"], _tool_name(tool), prompt_words(request)
    if kind == "custom":
        details = {"name": name, "input": words[0]}
    else:
        parameters = tool[kind].get("parameters") or {"type": "object"}
        arguments = schema_answer(parameters, words, request.seed + index)
        details = {"name": name, "arguments": dumps(arguments).decode()}
    source = f"{index}:{place}:{request.seed}:{name}:{request.messages[-1].text}"
    call_id = f"call_{hashlib.sha256(source.encode()).hexdigest()[:24]}"
    return {"id": call_id, "type": kind, kind: details}
