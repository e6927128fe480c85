"""Parses forms (multipart/form-data): their fields and files, in order."""

import re
from collections.abc import Collection
from email.message import Message
from typing import Any

import attrs

from .responses import invalid


@attrs.frozen
class FormPart:
    """A field, or a file if it has a filename."""

    name: str
    data: bytes
    filename: str | None
    content_type: str

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


def parse_form(content_type: str, body: bytes) -> list[FormPart]:
    """The parts of a form; 400 if the body is not one."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        msg = "The body must be a form: send it as multipart/form-data, with a boundary."
        raise invalid(msg)
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if first or not parts or not parts[-1].startswith(b"--"):
        raise invalid("We could not parse your multipart form.")
    return [_part(part) for part in parts[:-1]]


def _part(part: bytes) -> FormPart:
    head, blank, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        key, _, value = line.partition(":")
        headers[key] = value.strip()
    disposition = headers.get("Content-Disposition", "")
    name, filename = _parameter(disposition, "name"), _parameter(disposition, "filename")
    if not blank or name is None:
        raise invalid("We could not parse your multipart form: a part has no name.")
    return FormPart(name, data, filename, headers.get("Content-Type", ""))


def _parameter(disposition: str, name: str) -> str | None:
    found = re.search(rf';\s*{name}="([^"]*)"', disposition)
    return found[1].replace("%22", '"') if found else None


def form_fields(parts: list[FormPart], typed: Collection[str] = ()) -> dict[str, Any]:
    """The fields by name; `svg[model]` becomes an object. Those in `typed` are read as JSON."""
    fields: dict[str, Any] = {}
    for part in parts:
        if part.filename is not None:
            continue
        *path, last = re.split(r"\]?\[", part.name.removesuffix("]"))
        inner = fields
        for key in path:
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise invalid(f"Invalid type for '{key}': expected an object.", key, "invalid_type")
        inner[last] = _value(part.text) if part.name in typed else part.text
    return fields


def _value(text: str) -> bool | int | str:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d{1,15}", text, re.ASCII) else text
