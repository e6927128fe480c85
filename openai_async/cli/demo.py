"""`openai-async demo`: runs, times and shows the steps of `demo_steps`, with a built-in server."""

from __future__ import annotations

import time
from pathlib import Path

from .. import AsyncClient
from ..testing import LocalServer
from .demo_steps import STEPS, Context, StepResult
from .images import check_output_path
from .options import LOCAL_KEY
from .output import Output

# Fast enough for a few seconds in all, slow enough to be seen.
TOKENS_PER_SECOND = 40
PICTURE = "openai-async-demo.png"
COLUMNS = ("step", "request id", "tokens", "ms", "attempts")


async def run_demo(directory: Path, output: Output) -> None:
    picture = directory / PICTURE
    check_output_path(picture)
    # A pipe does not need a visible pace.
    pace = TOKENS_PER_SECOND if output.terminal and not output.as_json else None
    async with (
        LocalServer(tokens_per_second=pace) as server,
        AsyncClient(base_url=server.url, api_key=LOCAL_KEY) as client,
    ):
        output.line(f"A built-in server at {server.url}: no key, no network, no model.", "dim")
        context = Context(client=client, output=output, picture=picture)
        rows = []
        for number, step in enumerate(STEPS, 1):
            output.heading(f"{number}. {step.title}", step.call)
            started = time.perf_counter()
            result = await step.run(context)
            milliseconds = (time.perf_counter() - started) * 1000
            if output.as_json:
                output.json(_as_json(step.name, result, milliseconds))
            rows.append(_row(step.name, result, milliseconds))
    output.heading(f"{len(STEPS) + 1}. Summary", "response.meta, response.usage")
    output.table(COLUMNS, rows, numbers=COLUMNS[2:], piped_header=True)
    output.line()
    output.line("Next, with a real model:", "bold")
    output.line("  export OPENAI_API_KEY=...")
    output.line("  openai-async chat")


def _row(name: str, result: StepResult, milliseconds: float) -> tuple[str, ...]:
    return (
        name,
        result.meta.request_id or "-",
        "-" if result.tokens is None else str(result.tokens),
        f"{milliseconds:.0f}",
        str(result.meta.attempts),
    )


def _as_json(name: str, result: StepResult, milliseconds: float) -> dict[str, object]:
    return {
        "step": name,
        "request_id": result.meta.request_id,
        "tokens": result.tokens,
        "ms": round(milliseconds, 1),
        "attempts": result.meta.attempts,
        "result": result.result,
    }
