"""JSON Schemas, written briefly."""

from __future__ import annotations

from typing import Any

STR, INT, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
BOOLEAN, NULL = {"type": "boolean"}, {"type": "null"}


def obj(
    properties: dict[str, Any],
    required: list[str] | None = None,
    *,
    description: str | None = None,
    defs: Any = None,
) -> dict[str, Any]:
    """The schema of an object in which everything is required, as in strict mode."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }
    if description is not None:
        schema["description"] = description
    return schema if defs is None else {**schema, "$defs": defs}


def arr(items: Any, **limits: int) -> dict[str, Any]:
    return {"type": "array", "items": items, **limits}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}
