"""The messages of a chat request: roles, texts and picture parts, checked."""

from collections.abc import Mapping
from typing import Any

import attrs

from ..jsontext import shown
from . import checks
from .responses import RefusedError, invalid

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")
_PART_TYPES = ("text", "image_url", "input_audio", "file", "refusal")


@attrs.frozen
class ImagePart:
    url: str
    detail: str
    param: str


@attrs.frozen
class Message:
    role: str
    text: str
    images: list[ImagePart] = attrs.field(factory=list)


def read_messages(messages: object) -> list[Message]:
    if messages is None:
        raise checks.missing("messages")
    if not isinstance(messages, list):
        raise invalid("Invalid type for 'messages': expected a list.", "messages", "invalid_type")
    if not messages:
        msg = "Invalid 'messages': empty list. Expected at least one message."
        raise invalid(msg, "messages", "empty_array")
    read = [_message(message, place) for place, message in enumerate(messages)]
    _check_calls(messages)
    return read


def _check_calls(messages: list[dict[str, Any]]) -> None:
    """Each call of a tool is answered by the messages right behind it, as the API demands."""
    missing: list[object] = []
    for place, message in enumerate([*messages, {"role": "end"}]):
        role, called = message["role"], message.get("tool_calls")
        if role == "tool":
            if message["tool_call_id"] not in missing:
                msg = (
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceding message with 'tool_calls'."
                )
                raise invalid(msg, f"messages.[{place}].role", None)
            missing.remove(message["tool_call_id"])
            continue
        if missing:
            msg = (
                "An assistant message with 'tool_calls' must be followed by tool messages "
                "responding to each 'tool_call_id'. The following tool_call_ids did not have "
                f"response messages: {', '.join(map(str, missing))}"
            )
            raise invalid(msg, f"messages.[{place}].role", None)
        if role == "assistant" and isinstance(called, list):
            missing = [call.get("id") for call in called if isinstance(call, dict)]


def _message(message: object, place: int) -> Message:
    param = f"messages.[{place}]"
    if not isinstance(message, dict):
        raise invalid(f"Invalid type for '{param}': expected an object.", param, "invalid_type")
    role = message.get("role")
    if role not in _ROLES:
        wanted = ", ".join(_ROLES)
        msg = f"Invalid value: {shown(role)}. Supported roles are: {wanted}."
        raise invalid(msg, f"{param}.role", "invalid_value")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise checks.missing(f"{param}.tool_call_id")
    content = message.get("content")
    param = f"{param}.content"
    if content is None and role in ("assistant", "function"):
        return Message(role, "")
    if isinstance(content, str):
        return Message(role, content)
    if not isinstance(content, list) or not content:
        msg = f"Invalid value for '{param}': expected a string or a list of content parts."
        raise invalid(msg, param, "invalid_type")
    return _parts(role, content, param)


def _parts(role: str, parts: list[Any], param: str) -> Message:
    texts: list[str] = []
    images: list[ImagePart] = []
    for place, part in enumerate(parts):
        where = f"{param}.[{place}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _PART_TYPES:
            wanted = ", ".join(_PART_TYPES)
            msg = f"Invalid value: {shown(kind)}. Supported content parts are: {wanted}."
            raise invalid(msg, f"{where}.type", "invalid_value")
        if kind == "image_url":
            if role != "user":
                msg = f"Pictures are only allowed in 'user' messages, not in '{role}' messages."
                raise invalid(msg, where, "invalid_value")
            images.append(_image(part.get("image_url"), f"{where}.image_url"))
        elif kind in ("text", "refusal"):
            if not isinstance(part.get(kind), str):
                msg = f"Invalid type for '{where}.{kind}': expected a string."
                raise invalid(msg, f"{where}.{kind}", "invalid_type")
            texts.append(part[kind])
    return Message(role, "\n".join(texts), images)


def _image(image: object, param: str) -> ImagePart:
    if not isinstance(image, Mapping) or not isinstance(image.get("url"), str):
        msg = f"Invalid type for '{param}': expected an object with a 'url'."
        raise invalid(msg, param, "invalid_type")
    try:
        detail = checks.choice(image, "detail", ("auto", "low", "high"))
    except RefusedError as refused:
        raise invalid(str(refused), f"{param}.detail", "invalid_value") from refused
    return ImagePart(image["url"], detail or "auto", f"{param}.url")
