"""`openai-async demo`: the whole job against a built-in server, step by step.

What the steps do is in `demo_steps`; here they are run, timed and shown.
"""

from __future__ import annotations

import time
from pathlib import Path

from .. import AsyncClient
from ..testing import LocalServer
from .demo_steps import STEPS, Outcome, Stage
from .images import check_target
from .options import LOCAL_KEY
from .output import Output

# Fast enough for a few seconds in all, slow enough to be seen.
TOKENS_PER_SECOND = 40
PICTURE = "openai-async-demo.png"
COLUMNS = ("step", "request id", "tokens", "ms", "attempts")


async def run_demo(directory: Path, output: Output) -> None:
    picture = directory / PICTURE
    check_target(picture)
    # Nobody watches a pipe.
    pace = TOKENS_PER_SECOND if output.terminal and not output.as_json else None
    async with (
        LocalServer(tokens_per_second=pace) as server,
        AsyncClient(base_url=server.url, api_key=LOCAL_KEY) as client,
    ):
        output.line(f"A server of its own at {server.url}: no key, no network, no model.", "dim")
        stage = Stage(client=client, output=output, picture=picture)
        rows = []
        for number, step in enumerate(STEPS, 1):
            output.heading(f"{number}. {step.title}", step.call)
            started = time.perf_counter()
            outcome = await step.run(stage)
            milliseconds = (time.perf_counter() - started) * 1000
            if output.as_json:
                output.json(_as_json(step.name, outcome, milliseconds))
            rows.append(_row(step.name, outcome, milliseconds))
    output.heading(f"{len(STEPS) + 1}. Look back", "response.meta, response.usage")
    output.table(COLUMNS, rows, numbers=COLUMNS[2:], piped_header=True)
    output.line()
    output.line("Next, with a real model:", "bold")
    output.line("  export OPENAI_API_KEY=...")
    output.line("  openai-async chat")


def _row(name: str, outcome: Outcome, milliseconds: float) -> tuple[str, ...]:
    return (
        name,
        outcome.meta.request_id or "-",
        "-" if outcome.tokens is None else str(outcome.tokens),
        f"{milliseconds:.0f}",
        str(outcome.meta.attempts),
    )


def _as_json(name: str, outcome: Outcome, milliseconds: float) -> dict[str, object]:
    return {
        "step": name,
        "request_id": outcome.meta.request_id,
        "tokens": outcome.tokens,
        "ms": round(milliseconds, 1),
        "attempts": outcome.meta.attempts,
        "result": outcome.result,
    }
