"""Many requests: `run_requests` for an iterable of them, `run_batch` for a file.

async for result in run_requests(client, requests, concurrency=256): ...
report = await run_batch(client, "in.jsonl", "out.jsonl", progress=True)
"""

from .fan_out import run_requests
from .generated_input import requests_file
from .input.prompts import requests_from_prompts
from .input.validation import BadLine
from .job import run_batch
from .output.errors import OutputError
from .output.output_file import check_output_name
from .preview import BatchPreview, preview_batch
from .report import BatchReport, BatchStoppedError
from .requests import BatchRequest
from .results import BatchError, BatchResponse, BatchResult

__all__ = [
    "BadLine",
    "BatchError",
    "BatchPreview",
    "BatchReport",
    "BatchRequest",
    "BatchResponse",
    "BatchResult",
    "BatchStoppedError",
    "OutputError",
    "check_output_name",
    "preview_batch",
    "requests_file",
    "requests_from_prompts",
    "run_batch",
    "run_requests",
]
