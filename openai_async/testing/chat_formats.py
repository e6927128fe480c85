"""The tools and the response format of a chat request, checked as OpenAI checks them."""

import re
from collections.abc import Mapping
from typing import Any

from ..jsontext import shown
from ..structured.strict_schemas import parameters_problem, response_format_problem
from . import checks
from .responses import RefusedError, invalid

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_MAX_NAME = 64


def read_tools(tools: object) -> list[dict[str, Any]]:
    if tools is None:
        return []
    if not isinstance(tools, list) or not tools:
        msg = "Invalid 'tools': expected a list of at least one tool."
        raise invalid(msg, "tools", "invalid_type")
    for place, tool in enumerate(tools):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in ("function", "custom"):
            msg = f"Invalid 'tools[{place}].type': expected 'function' or 'custom'."
            raise invalid(msg, f"tools[{place}].type", "invalid_value")
        param = f"tools[{place}].{kind}"
        details = _named(tool.get(kind), param)
        if kind == "function" and _is_strict(details, param):
            _check_parameters(details, f"{param}.parameters")
    return tools


def _check_parameters(function: Mapping[str, Any], param: str) -> None:
    # A function without parameters takes none, also in strict mode.
    problem = parameters_problem(function["parameters"]) if function.get("parameters") else None
    if problem is not None:
        msg = f"Invalid schema for function '{function['name']}': {problem}"
        raise invalid(msg, param, "invalid_function_parameters")


def read_tool_choice(tool_choice: Any, tools: list[dict[str, Any]]) -> Any:
    if tool_choice is None:
        return None
    if not tools:
        raise invalid("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
    if isinstance(tool_choice, str):
        if tool_choice not in ("none", "auto", "required"):
            msg = f"Invalid value: '{tool_choice}'. Use 'none', 'auto', 'required' or a tool."
            raise invalid(msg, "tool_choice", "invalid_value")
        return tool_choice
    if not isinstance(tool_choice, dict):
        msg = "Invalid type for 'tool_choice': expected a string or an object."
        raise invalid(msg, "tool_choice", "invalid_type")
    kind = tool_choice.get("type")
    if kind in ("function", "custom"):
        details = tool_choice.get(kind)
        name = details.get("name") if isinstance(details, dict) else None
        if all(tool["type"] != kind or tool[kind]["name"] != name for tool in tools):
            msg = f"Tool choice '{name}' not found in 'tools'."
            raise invalid(msg, "tool_choice", "invalid_value")
    elif kind != "allowed_tools":
        raise invalid(f"Invalid 'tool_choice.type': {shown(kind)}.", "tool_choice", "invalid_value")
    return tool_choice


def read_parallel_tool_calls(body: Mapping[str, Any]) -> bool:
    if body.get("parallel_tool_calls") is None:
        return True
    if body.get("tools") is None:
        msg = "'parallel_tool_calls' is only allowed when 'tools' are specified."
        raise invalid(msg, "parallel_tool_calls")
    return checks.boolean(body, "parallel_tool_calls")


def read_response_format(response_format: Any) -> dict[str, Any] | None:
    if response_format is None:
        return None
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        msg = "Invalid 'response_format.type': use 'text', 'json_object' or 'json_schema'."
        raise invalid(msg, "response_format", "invalid_value")
    if kind == "json_schema":
        details = _named(response_format.get("json_schema"), "response_format.json_schema")
        if _is_strict(details, "response_format.json_schema"):
            problem = response_format_problem(details.get("schema"))
            if problem is not None:
                msg = f"Invalid schema for response_format '{details['name']}': {problem}"
                raise invalid(msg, "response_format")
    return dict(response_format)


def _is_strict(details: Mapping[str, Any], param: str) -> bool:
    try:
        return checks.boolean(details, "strict")
    except RefusedError as refused:
        raise invalid(str(refused), f"{param}.strict", "invalid_type") from refused


def _named(details: object, param: str) -> Mapping[str, Any]:
    """An object that has a valid name."""
    if not isinstance(details, dict):
        raise checks.missing(f"{param}.name")
    name = details.get("name")
    param = f"{param}.name"
    if not isinstance(name, str) or not name:
        raise checks.missing(param)
    if len(name) > _MAX_NAME:
        limit = f"Expected a string with maximum length {_MAX_NAME}"
        msg = f"Invalid '{param}': string too long. {limit}, but got one with length {len(name)}."
        raise invalid(msg, param, "string_above_max_length")
    if not _NAME.fullmatch(name):
        pattern = f"Expected a string that matches the pattern '^{_NAME.pattern}$'."
        msg = f"Invalid '{param}': string does not match pattern. {pattern}"
        raise invalid(msg, param, "invalid_value")
    return details
