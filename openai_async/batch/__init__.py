"""Many requests: `run_requests` for an iterable of them, `run_batch` for a file.

async for result in run_requests(client, requests, concurrency=256): ...
report = await run_batch(client, "in.jsonl", "out.jsonl", progress=True)
"""

from .fan_out import run_requests
from .job import run_batch
from .output.journal import OutputError
from .report import BatchReport, BatchStoppedError
from .requests import BatchRequest
from .results import BatchError, BatchResponse, BatchResult

__all__ = [
    "BatchError",
    "BatchReport",
    "BatchRequest",
    "BatchResponse",
    "BatchResult",
    "BatchStoppedError",
    "OutputError",
    "run_batch",
    "run_requests",
]
