"""The commands and their options, as `--help` shows them; their code is imported when they run.

This keeps help and usage errors fast. Modules that every command imports take what they need from
`openai_async` itself, whose names load nothing until they are used.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Group, Parameter, validators

import openai_async

from .batch_options import BatchOptions, PromptOptions
from .errors import EXPECTED, INTERRUPTED, one_limit, refuse_dash, report
from .options import CHAT_MODEL, IMAGE_MODEL, Connection, check
from .output import Output, prepare_streams
from .verbose import show_requests

Json = Annotated[
    bool, Parameter(negative="", show_default=False, help="Print JSON, one value per line.")
]
_VERBOSE = "Show a line for each request on stderr."
Verbose = Annotated[
    bool, Parameter(name=("--verbose", "-v"), negative="", show_default=False, help=_VERBOSE)
]
_STRICT_MODELS = "Answer 404 for models that are not listed."
Model = Annotated[str, Parameter(help="The model to ask.")]


def run(tokens: Sequence[str]) -> int:
    """Run a command line; returns the exit code."""
    prepare_streams()
    try:
        refuse_dash(tokens)
        result = _app()(tokens, exit_on_error=False, print_error=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (*EXPECTED, openai_async.OpenAIError) as error:  # looked up only after an error
        return report(error, as_json="--json" in tokens)
    return result if isinstance(result, int) else 0


def _app() -> App:
    app = App(
        name="openai-async",
        help="The OpenAI API, and every server that speaks it, from the command line.",
        version=openai_async.__version__,
        # Only terminals get panels with borders.
        help_formatter="default" if sys.stdout.isatty() else "plain",
        help_format="plaintext",
        result_action="return_value",
        # `run` handles Ctrl-C.
        suppress_keyboard_interrupt=False,
        group_parameters=Group("Options", sort_key=0),
    )
    for command in (demo, models, chat, image, batch, serve):
        app.command(command)
    return app


def demo(
    *,
    output: Annotated[
        Path, Parameter(name=("--output", "-o"), help="The directory to save the picture in.")
    ] = Path(),
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show what the package can do, in a few seconds, with a built-in server."""
    show_requests(verbose)
    from .demo import run_demo
    from .running import run as run_loop

    run_loop(run_demo(output, Output(as_json=json)))


def models(
    *,
    json: Json = False,
    verbose: Verbose = False,
    connection: Connection = Connection(),  # noqa: B008
) -> None:
    """List the models of the server."""
    show_requests(verbose)
    from .models import list_models
    from .running import run as run_loop

    run_loop(list_models(connection, Output(as_json=json)))


def chat(
    prompt: Annotated[
        str | None,
        Parameter(
            help="The question. Text from a pipe is added after it. With neither: a conversation."
        ),
    ] = None,
    /,
    *,
    image: Annotated[
        list[str] | None,
        Parameter(negative="", help="A picture to send: a path or URL. Can be repeated."),
    ] = None,
    system: Annotated[str | None, Parameter(help="Instructions for the model.")] = None,
    schema: Annotated[
        Path | None,
        Parameter(
            help="A file with a JSON Schema for the answer. An answer that is not JSON is an error."
        ),
    ] = None,
    stream: Annotated[
        bool,
        Parameter(show_default=False, help="Show the answer as it is written, or all at once."),
    ] = True,
    model: Model = CHAT_MODEL,
    max_completion_tokens: Annotated[
        int | None,
        Parameter(
            validator=validators.Number(gte=1),
            help="At most this many tokens in the answer, including reasoning.",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        Parameter(
            validator=validators.Number(gte=1),
            help="The same, for models and servers that only know this name.",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        Parameter(
            validator=validators.Number(gte=0, lte=2), help="From 0 to 2; higher is more random."
        ),
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
    connection: Connection = Connection(),  # noqa: B008 - frozen
) -> int:
    """Ask a question; without one, start a conversation.

    With --json, prints one line per chunk; with --json --no-stream, the whole answer.
    """
    show_requests(verbose)
    from .chat import ChatOptions, ask_once
    from .prompt import read_prompt
    from .schema_file import read_schema

    options = ChatOptions(
        model=model,
        system=system,
        images=image or (),
        response_format=None if schema is None else read_schema(schema),
        stream=stream,
        max_completion_tokens=max_completion_tokens,
        max_tokens=max_tokens,
        temperature=temperature,
    )
    output = Output(as_json=json)
    one_limit(max_completion_tokens, max_tokens)
    check(connection)
    whole = read_prompt(prompt)
    if whole is None:
        from .conversation import converse

        return converse(options, connection, output)
    from .running import run as run_loop

    run_loop(ask_once(whole, options, connection, output))
    return 0


def image(
    prompt: Annotated[str, Parameter(help="What to draw.")],
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The file to write.")],
    model: Model = IMAGE_MODEL,
    size: Annotated[
        str | None,
        Parameter(help="Width x height in pixels, like 1536x1024; the model decides if omitted."),
    ] = None,
    quality: Annotated[
        str | None, Parameter(help="As the model names it: low, medium or high, for example.")
    ] = None,
    style: Annotated[
        Literal["vivid", "natural"] | None, Parameter(help="For dall-e-3 only.")
    ] = None,
    edit: Annotated[
        list[Path] | None,
        Parameter(negative="", help="A picture to change. Can be repeated, to combine several."),
    ] = None,
    mask: Annotated[
        Path | None, Parameter(help="A PNG, transparent where the picture is to be changed.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
    connection: Connection = Connection(),  # noqa: B008 - frozen
) -> None:
    """Draw a picture, or change one, and save it."""
    show_requests(verbose)
    from .images import ImageOptions, draw
    from .running import run as run_loop

    options = ImageOptions(
        prompt=prompt,
        path=output,
        model=model,
        size=size,
        quality=quality,
        style=style,
        edit=edit or (),
        mask=mask,
    )
    run_loop(draw(options, connection, Output(as_json=json)))


def batch(
    source: Annotated[
        Path | None,
        Parameter(
            name="input",
            help="A JSONL file, as for the OpenAI Batch API; may be gzipped.",
        ),
    ] = None,
    /,
    *,
    output: Annotated[
        Path,
        Parameter(
            name=("--output", "-o"),
            help="The file for the results. If it exists, the batch is resumed.",
        ),
    ],
    options: BatchOptions = BatchOptions(),  # noqa: B008 - frozen
    prompts: PromptOptions = PromptOptions(),  # noqa: B008
    json: Json = False,
    verbose: Verbose = False,
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Send a file of requests; run it again to resume.

    Ctrl-C waits for the requests in flight; a second Ctrl-C stops at once.
    """
    show_requests(verbose)
    from .batch import batch as run_batch

    return run_batch(source, output, options, prompts, connection, Output(as_json=json))


def serve(
    *,
    port: Annotated[
        int,
        Parameter(validator=validators.Number(gte=0, lte=65535), help="0 picks a free port."),
    ] = 8000,
    tokens_per_second: Annotated[
        float | None,
        Parameter(validator=validators.Number(gt=0), help="How fast answers are streamed."),
    ] = None,
    rpm: Annotated[
        int | None,
        Parameter(
            validator=validators.Number(gte=1, lte=10**9),
            help="Answer 429 beyond this many requests per minute.",
        ),
    ] = None,
    tpm: Annotated[
        int | None,
        Parameter(
            validator=validators.Number(gte=1, lte=10**9),
            help="Answer 429 beyond this many tokens per minute.",
        ),
    ] = None,
    models: Annotated[
        str | None, Parameter(help="Additional models, like my-model,another-one.")
    ] = None,
    model: Annotated[
        tuple[str, ...],
        Parameter(help="An additional model; can be repeated.", negative="", show_default=False),
    ] = (),
    strict_models: Annotated[
        bool, Parameter(help=_STRICT_MODELS, negative="", show_default=False)
    ] = False,
    fail: Annotated[
        tuple[str, ...],
        Parameter(
            help=(
                "Make the next request fail: with 503 or another status, cut=3 or stall=3 (after 3 "
                "tokens of a stream), or delay=2 (seconds). Add times=5 for the next 5 requests, "
                "share=10% for a random tenth of all, or retry-after=2 to a status, as in "
                "429,retry-after=2,times=5. Can be repeated."
            ),
            negative="",
            show_default=False,
        ),
    ] = (),
    verbose: Verbose = False,
) -> int:
    """Run the built-in server until Ctrl-C."""
    show_requests(verbose, "openai_async.testing.requests")
    from .serve import serve as serve_until_interrupted

    return serve_until_interrupted(
        port, tokens_per_second, rpm, tpm, models, model, strict_models, fail, Output()
    )
