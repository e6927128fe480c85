"""Batches that really run: the server's own handlers answer each line of the input file.

A batch runs in a task of its own, one request after the other. With `tokens_per_second` a request
takes as long as its tokens would take to stream.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ..jsontext import dumps, loads
from . import checks
from .batch_lines import BatchInputError, LineRequest, read_lines
from .batch_store import become
from .exchange import Exchange, Handler
from .files import lifetime
from .recording import RecordedRequest
from .responses import RefusedError, invalid, json_response
from .stored_chats import checked_metadata

_logger = logging.getLogger(__name__)
_WINDOW = 86_400


async def create_batch(exchange: Exchange, handlers: Mapping[str, Handler]) -> web.StreamResponse:
    """Start a batch; `handlers` has the handler for each endpoint."""
    body = exchange.json_object()
    file_id = checks.required_string(body, "input_file_id")
    for name, allowed in (("endpoint", handlers), ("completion_window", ("24h",))):
        checks.required_string(body, name)
        checks.choice(body, name, allowed)
    data = _input_file(exchange, file_id)
    expires = lifetime(body, "output_expires_after")
    now = int(time.time())
    batch = {
        "id": f"batch_{uuid.uuid4().hex}",
        "object": "batch",
        "endpoint": body["endpoint"],
        "model": None,
        "errors": None,
        "input_file_id": file_id,
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "in_progress_at": None,
        "expires_at": now + _WINDOW,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": None,
        "metadata": checked_metadata(body),
    }
    run = _Run(batch, exchange, handlers[body["endpoint"]], expires)
    exchange.state.batches.start(batch, run.run(data), run.end)
    return json_response(batch)


async def retrieve_batch(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.batches.get(exchange.request.match_info["batch_id"]))


async def list_batches(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.batches.list(exchange.request.query))


async def cancel_batch(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.batches.cancel(exchange.request.match_info["batch_id"]))


def _input_file(exchange: Exchange, file_id: str) -> bytes:
    try:
        file = exchange.state.files.get(file_id)
    except RefusedError:
        raise invalid(f"No such File object: {file_id}", "input_file_id") from None
    if file.fields["purpose"] != "batch":
        msg = f"The file must have the purpose 'batch', not '{file.fields['purpose']}'."
        raise invalid(msg, "input_file_id")
    return file.data


class _Run:
    """A running batch."""

    def __init__(
        self, batch: dict[str, Any], exchange: Exchange, handler: Handler, expires: int | None
    ) -> None:
        self.batch = batch
        self._expires = expires
        self._exchange = exchange
        self._handler = handler
        self._outputs: list[dict[str, Any]] = []
        self._errors: list[dict[str, Any]] = []
        self._usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}

    async def run(self, data: bytes) -> None:
        batch = self.batch
        try:
            requests = await asyncio.to_thread(read_lines, data, batch["endpoint"])
        except BatchInputError as invalid_file:
            batch["errors"] = {"object": "list", "data": invalid_file.errors}
            become(batch, "failed")
            return
        batch["model"] = requests[0].body.get("model")
        batch["request_counts"]["total"] = len(requests)
        become(batch, "in_progress")
        for request in requests:
            await self._answer(request)
        become(batch, "finalizing")
        self._write_files()
        become(batch, "completed")

    def end(self, task: asyncio.Task[None]) -> None:
        """Called when `run` has ended, even if it was cancelled before it began."""
        if task.cancelled():
            self._write_files()
            become(self.batch, "cancelled")
        elif (error := task.exception()) is not None:
            _logger.error("LocalServer failed on %s", self.batch["id"], exc_info=error)
            become(self.batch, "failed")

    async def _answer(self, request: LineRequest) -> None:
        status, body = await self._response(request)
        usage = body.get("usage") or {}
        rate = self._exchange.state.tokens_per_second
        written = usage.get("completion_tokens", usage.get("output_tokens", 0))
        await asyncio.sleep(written / rate if rate else 0)
        self._usage["input_tokens"] += usage.get("prompt_tokens", usage.get("input_tokens", 0))
        self._usage["output_tokens"] += written
        self._usage["total_tokens"] += usage.get("total_tokens", 0)
        good = 200 <= status < 300
        self.batch["request_counts"]["completed" if good else "failed"] += 1
        answer = {
            "id": f"batch_req_{uuid.uuid4().hex}",
            "custom_id": request.custom_id,
            "response": {
                "status_code": status,
                "request_id": f"req_{uuid.uuid4().hex}",
                "body": body,
            },
            "error": None,
        }
        (self._outputs if good else self._errors).append(answer)

    async def _response(self, request: LineRequest) -> tuple[int, dict[str, Any]]:
        """Status and body of the handler's answer."""
        record = RecordedRequest("POST", self.batch["endpoint"], body=dumps(request.body))
        exchange = Exchange(self._exchange.request, record, self._exchange.state)
        try:
            response = await self._handler(exchange)
        except RefusedError as refused:
            response = refused.response()
        except Exception:
            _logger.exception("LocalServer failed on a request of %s", self.batch["id"])
            msg = "The server had an error while processing your request."
            response = RefusedError(500, msg, type="server_error").response()
        assert isinstance(response, web.Response)
        assert isinstance(response.body, bytes)
        return response.status, loads(response.body)

    def _write_files(self) -> None:
        """A file for each kind of answer that there is."""
        files = self._exchange.state.files
        for name, answers in (("output", self._outputs), ("error", self._errors)):
            if answers:
                data = b"".join(dumps(answer) + b"\n" for answer in answers)
                filename = f"{self.batch['id']}_{name}.jsonl"
                file = files.put(data, filename, "batch_output", seconds=self._expires)
                self.batch[f"{name}_file_id"] = file.id
        self.batch["usage"] = {
            **self._usage,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
