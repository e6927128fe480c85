"""Results to write, and what is then in an output file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openai_async.batch.output.journal import FileJournal
from openai_async.batch.results import BatchError, BatchResponse, BatchResult


def good(custom_id: str, body: Any = "é") -> BatchResult:
    response = BatchResponse(status_code=200, request_id="r", body=body)
    return BatchResult(custom_id=custom_id, id=f"id-{custom_id}", response=response)


def bad(custom_id: str) -> BatchResult:
    error = BatchError(code="server_error", message="No.")
    return BatchResult(custom_id=custom_id, id=f"bad-{custom_id}", error=error)


def line(result: BatchResult) -> bytes:
    return json.dumps(result.to_dict()).encode() + b"\n"


def ids(path: Path) -> list[str]:
    """The ids of the results in a file, all of whose lines are whole."""
    data = path.read_bytes()
    assert not data or data.endswith(b"\n")
    return [json.loads(text)["custom_id"] for text in data.splitlines()]


def reopened(path: Path, *, retry_failed: bool = False) -> FileJournal:
    journal = FileJournal(path)
    journal.open(retry_failed=retry_failed)
    journal.close()
    return journal
