"""Makes openai.json, the compact form of OpenAI's OpenAPI file that tests/test_spec.py reads.

    python tests/spec/make_table.py path/to/openapi.json

Types are written as Python's: `Required[str]`, `list[Batch]`, `Literal["low", "high"] | None`.
`bytes` is a file. An object without a name is called after the field that holds it: `Batch.errors`.
Where any text is allowed, known values are left out: `str` for `str | Literal["a", "b"]`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("openai.json")
# The beginnings of the paths in the table.
RESOURCES = (
    *("/batches", "/chat", "/embeddings", "/files"),
    *("/images", "/models", "/moderations", "/uploads"),
)
METHODS = ("get", "post", "put", "patch", "delete")
SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class Table:
    """The operations, and the fields of each object that they refer to."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas = document["components"]["schemas"]
        self.objects: dict[str, dict[str, str]] = {}
        self.operations = {
            f"{method.upper()} {path}": self._operation(f"{method.upper()} {path}", item[method])
            for path, item in document["paths"].items()
            if path.startswith(RESOURCES)
            for method in METHODS
            if method in item
        }

    def _operation(self, name: str, operation: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        query = {
            parameter["name"].removesuffix("[]"): self._field(
                f"{name}?{parameter['name']}", parameter["schema"], parameter.get("required", False)
            )
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "query"
        }
        if query:
            made["query"] = query
        # The first of several media types: multipart, if that is one of them.
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            made |= {"media": media, "body": self._type(f"{name} body", content["schema"])}
            break
        for media, content in operation["responses"]["200"]["content"].items():
            key = "events" if media == "text/event-stream" else "answer"
            made[key] = self._type(f"{name} {key}", content["schema"])
        return made

    def _field(self, name: str, schema: dict[str, Any], required: bool) -> str:
        kind = self._type(name, schema)
        return f"Required[{kind}]" if required else kind

    def _type(self, name: str, schema: dict[str, Any]) -> str:
        members = dict.fromkeys(self._members(name, schema))
        return " | ".join(
            member for member in members if "str" not in members or member[:7] != "Literal"
        )

    def _members(self, name: str, schema: dict[str, Any]) -> list[str]:
        """The types that a value may have; `name` is for an object without a name."""
        return [*self._named(name, schema), *(["None"] if schema.get("nullable") else [])]

    def _named(self, name: str, schema: dict[str, Any]) -> list[str]:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return [name] if name in self.objects else self._members(name, self._schemas[name])
        parts = schema.get("anyOf") or schema.get("oneOf")
        if parts and "properties" not in schema:
            return [member for part in parts for member in self._members(name, part)]
        # A part may be nothing but a description, or "nullable".
        parts = [part for part in schema.get("allOf", ()) if {"$ref", "type", "anyOf"} & {*part}]
        if len(parts) == 1 and "properties" not in schema:
            return self._members(name, parts[0])
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            shown = ", ".join(json.dumps(value) for value in values if value is not None)
            return [f"Literal[{shown}]", *(["None"] if None in values else [])]
        kinds = schema.get("type", "object" if "allOf" in schema or "properties" in schema else [])
        kinds = kinds if isinstance(kinds, list) else [kinds]
        return [self._of_type(kind, name, schema) for kind in kinds] or ["object"]

    def _of_type(self, kind: str, name: str, schema: dict[str, Any]) -> str:
        if kind == "array":
            return f"list[{self._type(name, schema.get('items', {}))}]"
        if kind == "string" and schema.get("format") == "binary":
            return "bytes"
        if kind != "object":
            return SCALARS[kind]
        properties, required = self._properties(schema)
        if properties:
            return self._object(name, properties, required)
        values = schema.get("additionalProperties")
        return f"dict[str, {self._type(name, values) if isinstance(values, dict) else 'object'}]"

    def _object(self, name: str, properties: dict[str, Any], required: set[str]) -> str:
        name = re.sub(r"[^\w.]+", "_", name)
        fields = self.objects.setdefault(name, {})
        if fields and fields.keys() != properties.keys():  # another member of the same union
            values = properties["type"].get("enum") or [properties["type"]["const"]]
            return self._object(f"{name}.{values[0]}", properties, required)
        if not fields:
            fields.update(dict.fromkeys(properties, "object"))  # it may refer to itself
            for key, value in properties.items():
                fields[key] = self._field(f"{name}.{key}", value, key in required)
        return name

    def _properties(self, schema: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """The fields of an object, with those of its `allOf`, and the names of required ones."""
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        properties: dict[str, Any] = {}
        required = set(schema.get("required", ()))
        for part in schema.get("allOf", ()):
            more, needed = self._properties(part)
            properties |= more
            required |= needed
        return properties | schema.get("properties", {}), required


if __name__ == "__main__":
    table = Table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    whole = {"operations": table.operations, "objects": dict(sorted(table.objects.items()))}
    TABLE.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
