"""The messages that `useChat` of Vercel's AI SDK posts, as the API's messages.

A message has parts: text, files, and tool calls with their results. An answer in several steps
becomes several messages for the API: one for each step, and one for each result.
https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import InvalidArgumentError
from ..jsontext import shown
from ..types.chat_params import ChatCompletionMessageParam
from ..types.model_methods import json_text

_AUDIO = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def from_ui_messages(messages: object) -> list[ChatCompletionMessageParam]:
    """The messages for a request, from those that `useChat` posts.

    A text file becomes text, with its name. Reasoning, sources and your own parts (`data-...`) are
    left out. So are tool calls without a result, as in an answer that was stopped: the API rejects
    a history with such a call.

    Args:
        messages: `messages` in the JSON that the hook posts. It comes from a browser, which may
            send anything; a `system` message is refused, so that only the app gives instructions.

    Raises:
        InvalidArgumentError: they are something else; answer with status 400.

    Example::

        asked = await request.json()
        messages = from_ui_messages(asked["messages"])
    """
    made: list[Any] = []
    for where, message in _objects(messages, "messages"):
        role = message.get("role")
        parts = [part for _, part in _objects(message.get("parts"), f"{where}.parts")]
        if role == "user":
            made.append({"role": "user", "content": _content(parts, where)})
        elif role == "assistant":
            for step in _steps(parts):
                made += _answer(step, where)
        else:
            msg = f'{where} has role {shown(role)}: only "user" and "assistant" are accepted.'
            raise InvalidArgumentError(msg)
    return made


def _objects(values: object, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in a list, each with its place."""
    if not isinstance(values, list):
        msg = f"{where} is not a list: pass the messages that useChat posts."
        raise InvalidArgumentError(msg)
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            msg = f"{where}[{index}] is not an object: pass the messages that useChat posts."
            raise InvalidArgumentError(msg)
        yield f"{where}[{index}]", value


def _text(holder: dict[str, Any], key: str, where: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str):
        msg = f"{where} has a part whose {key} is not a string: pass the messages useChat posts."
        raise InvalidArgumentError(msg)
    return value


# --- what the user says ---


def _content(parts: list[dict[str, Any]], where: str) -> str | list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for part in parts:
        if part.get("type") == "text":
            content.append({"type": "text", "text": _text(part, "text", where)})
        elif part.get("type") == "file":
            content.append(_file(part, where))
    if not any(part.get("type") == "file" for part in parts):
        return "".join(part["text"] for part in content)
    return content


def _file(part: dict[str, Any], where: str) -> dict[str, Any]:
    url, kind = _text(part, "url", where), _text(part, "mediaType", where).lower()
    if kind.startswith("image/"):
        # A server of one's own might open file:///etc/passwd. No server can open blob:...
        if not url.lower().startswith(("https://", "http://", "data:")):
            msg = f"{where} has a picture whose url is neither an http(s) URL nor a data URL."
            raise InvalidArgumentError(msg)
        return {"type": "image_url", "image_url": {"url": url}}
    head, _, data = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64")):
        msg = f"{where} has a file of type {shown(kind)} by URL: send it as a base64 data URL."
        raise InvalidArgumentError(msg)
    if kind in _AUDIO:
        return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO[kind]}}
    name = _text(part, "filename", where) if part.get("filename") else "file"
    if kind.startswith("text/") or kind == "application/json":
        # OpenAI takes only PDFs as files in a chat, and most other servers take none.
        return {"type": "text", "text": f"{name}:\n{_decoded(data, where)}"}
    return {"type": "file", "file": {"file_data": url, "filename": name}}


def _decoded(data: str, where: str) -> str:
    try:
        return b64decode(data, validate=True).decode("utf-8-sig")
    except ValueError as error:
        msg = f"{where} has a text file that is not UTF-8 in base64."
        raise InvalidArgumentError(msg) from error


# --- what the model says ---


def _steps(parts: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The parts of each step."""
    steps: list[list[dict[str, Any]]] = [[]]
    for part in parts:
        if part.get("type") == "step-start":
            steps.append([])
        else:
            steps[-1].append(part)
    return steps


def _answer(parts: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    """The message of a step, and the results of its calls."""
    text = "".join(_text(part, "text", where) for part in parts if part.get("type") == "text")
    calls, results = [], []
    for part in parts:
        if part.get("state") in ("output-available", "output-error"):
            call, told = _call(part, where), _result(part, where)
            calls.append(call)
            results.append({"role": "tool", "tool_call_id": call["id"], "content": told})
    if not text and not calls:
        return []
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    return [message | {"tool_calls": calls} if calls else message, *results]


def _call(part: dict[str, Any], where: str) -> dict[str, Any]:
    kind = _text(part, "type", where)
    name = _text(part, "toolName", where) if kind == "dynamic-tool" else kind.removeprefix("tool-")
    key, given = _text(part, "toolCallId", where), part.get("input")
    if given is None:
        given = part.get("rawInput", {})
    if not isinstance(given, str):
        given = _json(given, where)
    elif part["state"] == "output-available":  # only a custom tool takes a text
        return {"id": key, "type": "custom", "custom": {"name": name, "input": given}}
    return {"id": key, "type": "function", "function": {"name": name, "arguments": given}}


def _result(part: dict[str, Any], where: str) -> str:
    told = part.get("errorText" if part["state"] == "output-error" else "output")
    return told if isinstance(told, str) else _json(told, where)


def _json(value: object, where: str) -> str:
    """Not `dumps`, which searches what it refuses for mistakes of an app: that may take seconds."""
    try:
        return json_text(value)
    except RecursionError as error:
        msg = f"{where} has a call whose input or output is nested too deep."
        raise InvalidArgumentError(msg) from error
