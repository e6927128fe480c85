"""Checks of single fields of a request, shared by the endpoints; errors name the field."""

from collections.abc import Collection, Mapping
from typing import Any

from ..jsontext import shown
from ..options import is_number
from .responses import RefusedError, invalid


def missing(name: str, what: str = "") -> RefusedError:
    """The 400 for a required field that is not there; `what` says what it should be."""
    msg = f"Missing required parameter: '{name}'{what and f', {what}'}."
    return invalid(msg, name, "missing_required_parameter")


def number(body: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if not is_number(value):
        raise invalid(f"Invalid type for '{name}': expected a number.", name, "invalid_type")
    if not low <= value <= high:
        msg = f"Invalid '{name}': expected a value from {low:g} to {high:g}, got {value!r}."
        raise invalid(msg, name, "invalid_value")
    return float(value)


def integer(body: Mapping[str, Any], name: str, low: int, high: int | None = None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(f"Invalid type for '{name}': expected an integer.", name, "invalid_type")
    if value < low or (high is not None and value > high):
        wanted = f"from {low} to {high}" if high is not None else f">= {low}"
        msg = f"Invalid '{name}': expected an integer {wanted}, got {value}."
        raise invalid(msg, name, "invalid_value")
    return value


def boolean(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"Invalid type for '{name}': expected a boolean.", name, "invalid_type")
    return bool(value)


def choice(body: Mapping[str, Any], name: str, allowed: Collection[str]) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or value not in allowed:
        wanted = ", ".join(f"'{one}'" for one in allowed)
        msg = f"Invalid value: {shown(value)}. Supported values for '{name}' are: {wanted}."
        raise invalid(msg, name, "invalid_value")
    return value


def required_string(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, str):
        raise invalid(f"Invalid type for '{name}': expected a string.", name, "invalid_type")
    if not value:
        raise invalid(f"Invalid '{name}': it must not be empty.", name, "invalid_value")
    return value
