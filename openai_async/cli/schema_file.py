"""`chat --schema FILE`: the file becomes the `response_format` of the request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ..jsontext import shown, strict_loads
from ..structured.strict_schemas import response_format_problem
from ..types.chat_option_params import JSONSchema, ResponseFormatJSONSchema
from .errors import UsageError
from .output import write_note

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TYPES = frozenset(("object", "array", "string", "number", "integer", "boolean", "null"))
# One of these makes an object a schema, rather than an example of the answer.
_KEYWORDS = ("type", "properties", "items", "$ref", "anyOf", "oneOf", "allOf", "enum", "const")


def read_schema(path: Path) -> ResponseFormatJSONSchema:
    """The response format for a file with a JSON Schema, or the API's object around one.

    A schema alone is sent as a strict one, which the answer is sure to follow, unless strict mode
    refuses it: a note says why.

    Raises:
        UsageError: the file cannot be read, or is not a schema.
    """
    name = repr(str(path))
    value = _json_in(path, name)
    if not isinstance(value, dict):
        msg = f"{name} is not a JSON Schema: it is {shown(value)}, not an object."
        raise UsageError(msg)
    if value.get("type") == "json_schema" and isinstance(value.get("json_schema"), dict):
        value = value["json_schema"]  # it is a whole response_format
    given: JSONSchema
    if "schema" in value and not _is_schema(value):
        given = _checked(value, name)
    else:
        _check_schema(value, name)
        problem = response_format_problem(value)
        if problem is not None:
            write_note(f'{name} is sent with "strict": false, as strict mode refuses it: {problem}')
        given = {"name": _name_for(value, path), "schema": value, "strict": problem is None}
    return {"type": "json_schema", "json_schema": given}


def _json_in(path: Path, name: str) -> Any:
    try:
        return strict_loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        msg = f"There is no file {name}: pass the path of a JSON Schema."
    except OSError as error:
        msg = f"Cannot read {name}: {error.strerror or error}."
    except UnicodeDecodeError:
        msg = f"{name} is not UTF-8 text: pass the path of a JSON Schema."
    except ValueError as error:
        msg = f"{name} is not JSON: {error}."
    raise UsageError(msg)


def _checked(value: Mapping[str, Any], name: str) -> JSONSchema:
    given, strict = value.get("name"), value.get("strict")
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        problem = "1 to 64 letters, digits, underscores and hyphens"
        msg = f'"name" in {name} is {shown(given)}: use {problem}.'
        raise UsageError(msg)
    if strict is not None and not isinstance(strict, bool):
        msg = f'"strict" in {name} is {shown(strict)}: use true or false.'
        raise UsageError(msg)
    _check_schema(value["schema"], f'"schema" in {name}')
    return cast("JSONSchema", value)  # other fields are sent too: they may be new


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict) and any(keyword in value for keyword in _KEYWORDS)


def _check_schema(schema: Any, name: str) -> None:
    if not _is_schema(schema):
        msg = f'{name} is not a JSON Schema: it has no "type", "properties" or "$ref".'
        raise UsageError(msg)
    kinds = schema.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if not isinstance(kind, str) or kind not in _TYPES:
            msg = f'{name} is not a JSON Schema: its "type" is {shown(kind)}.'
            raise UsageError(msg)


def _name_for(schema: Mapping[str, Any], path: Path) -> str:
    title = schema.get("title")
    text = title if isinstance(title, str) else path.stem
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", text).strip("_")[:64] or "answer"
