"""A run in a process of its own, to be killed: `python -m tests.batch.job_process URL IN OUT`.

With `--limit BYTES` no file may become larger, as on a full disk. Prints the report as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import sys

from openai_async import AsyncClient, RateLimit
from openai_async.batch import BatchStoppedError, run_batch


async def run(url: str, source: str, target: str) -> None:
    limit = RateLimit(adaptive=False)
    async with AsyncClient(base_url=url, api_key="local", rate_limit=limit) as client:
        report = await run_batch(client, source, target, concurrency=16)
    print(report.to_json())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs=3)
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    if options.limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.limit, options.limit))
    try:
        asyncio.run(run(*options.files))
    except BatchStoppedError as error:
        print(error, file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main()
