"""`openai-async serve`: the built-in server, until Ctrl-C."""

from __future__ import annotations

import asyncio

from ..testing import DEFAULT_MODELS, LocalServer, ServerLimits
from .errors import CommandError, UsageError
from .failures import script_failures
from .options import LOCAL_KEY
from .output import Output


def serve(
    port: int,
    tokens_per_second: float | None,
    rpm: int | None,
    tpm: int | None,
    models: str | None,
    model: tuple[str, ...],
    strict_models: bool,
    fail: tuple[str, ...],
    output: Output,
) -> int:
    """Serve until Ctrl-C, which is not a failure here."""
    limits = None
    if rpm is not None or tpm is not None:
        limits = ServerLimits(requests_per_minute=rpm, tokens_per_minute=tpm)
    more = [] if models is None else [name.strip() for name in models.split(",")]
    if not all(more):
        msg = f"--models is {models!r}: write it like my-model,another-one."
        raise UsageError(msg)
    if not all(name.strip() for name in model):
        msg = "--model is empty: pass the id of a model."
        raise UsageError(msg)
    server = LocalServer(
        port=port,
        tokens_per_second=tokens_per_second,
        models=[*DEFAULT_MODELS, *more, *model],
        limits=limits,
        strict_models=strict_models,
    )
    script_failures(server, fail)
    try:
        asyncio.run(_serve(server, output))
    except KeyboardInterrupt:
        if output.terminal:  # which has printed ^C
            output.line()
    return 0


async def _serve(server: LocalServer, output: Output) -> None:
    try:
        await server.start()
    except OSError as error:
        msg = (
            f"Cannot listen on port {server.port}: {error.strerror or error}. "
            "Pass another --port, or 0 for any free one."
        )
        raise CommandError(msg) from error
    async with server:
        output.line(f"Serving at {server.url}", "bold green")
        output.line(f"export OPENAI_BASE_URL={server.url} OPENAI_API_KEY={LOCAL_KEY}")
        output.line("Press Ctrl-C to stop.", "dim")
        await asyncio.Event().wait()
