"""The input file of a batch: its requests, or what is wrong with its lines."""

from collections.abc import Iterator
from typing import Any

import attrs

from ..jsontext import strict_loads

_MAX_REQUESTS = 50_000


@attrs.frozen
class LineRequest:
    """The request on one line."""

    custom_id: str
    body: dict[str, Any]


class BatchInputError(Exception):
    """The file is not valid, so the batch as a whole fails."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(f"{len(errors)} errors in the input file")
        self.errors = errors


def read_lines(data: bytes, endpoint: str) -> list[LineRequest]:
    """The requests of a file; `BatchInputError` for any line that is not a request."""
    requests: list[LineRequest] = []
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = strict_loads(line)
        except ValueError:
            message = "This line is not parseable as valid JSON."
            errors.append(_error(number, "invalid_json_line", message))
            continue
        problems = [_error(number, *problem) for problem in _problems(value, endpoint, seen)]
        errors += problems
        if not problems:
            seen.add(value["custom_id"])
            requests.append(LineRequest(value["custom_id"], value["body"]))
    models = {str(request.body.get("model")) for request in requests}
    if not requests and not errors:
        errors.append(_error(None, "empty_file", "The input file is empty."))
    elif len(requests) > _MAX_REQUESTS:
        message = f"The input file has {len(requests)} requests: the limit is {_MAX_REQUESTS}."
        errors.append(_error(None, "too_many_tasks", message))
    elif len(models) > 1:
        message = f"All requests of a batch must have the same model, not {sorted(models)}."
        errors.append(_error(None, "model_mismatch", message, "body.model"))
    if errors:
        raise BatchInputError(errors)
    return requests


def _problems(value: Any, endpoint: str, seen: set[str]) -> Iterator[tuple[str, str, str | None]]:
    """Code, message and field of each mistake in the object on one line."""
    if not isinstance(value, dict):
        yield "invalid_json_line", "This line is not a JSON object.", None
        return
    custom_id = value.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        code = "missing_required_parameter"
        yield code, "Missing required parameter: 'custom_id'.", "custom_id"
    elif custom_id in seen:
        message = f"The custom_id '{custom_id}' is used by another line of this file."
        yield "duplicate_custom_id", message, "custom_id"
    if value.get("method") != "POST":
        yield "invalid_method", "Invalid 'method': expected 'POST'.", "method"
    if value.get("url") != endpoint:
        message = f"The url of this line must be the endpoint of the batch, '{endpoint}'."
        yield "url_mismatch", message, "url"
    body = value.get("body")
    if not isinstance(body, dict):
        yield "invalid_type", "Invalid type for 'body': expected an object.", "body"
    elif body.get("stream"):
        yield "invalid_value", "Requests of a batch cannot be streamed.", "body.stream"


def _error(line: int | None, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": param, "line": line}
