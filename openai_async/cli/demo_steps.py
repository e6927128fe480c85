"""The steps of the demo: each is code that a user of the package would write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import frozen

from .. import AsyncClient, image_part
from ..types.base import ResponseMeta
from ..types.chat import CompletionUsage
from .models import COLUMNS, date_of
from .options import CHAT_MODEL, IMAGE_MODEL
from .output import Output

QUESTION = "Why do cats purr?"
STREAMED_QUESTION = "And now word by word, please: what do they dream of?"
PICTURE_QUESTION = "What is in this picture?"
DRAWING = "An otter reading a book by candlelight"
DRAWING_SIZE = "1024x1024"


@frozen(kw_only=True)
class Context:
    """What the steps need."""

    client: AsyncClient
    output: Output
    picture: Path
    """Where the drawing goes."""


@frozen(kw_only=True)
class StepResult:
    """What the table and `--json` show of a step."""

    meta: ResponseMeta
    result: Any
    tokens: int | None = None


@frozen
class Step:
    name: str
    title: str
    call: str
    """The line of Python that it shows."""
    run: Callable[[Context], Awaitable[StepResult]]


async def _list_models(context: Context) -> StepResult:
    models = await context.client.models.list()
    rows = [(model.id, model.owned_by, date_of(model.created)) for model in models]
    context.output.table(COLUMNS, rows, piped_header=True)
    return StepResult(meta=models.meta, result=[model.id for model in models])


async def _ask(context: Context) -> StepResult:
    context.output.line(f"> {QUESTION}", "bold")
    completion = await context.client.chat.completions.create(
        model=CHAT_MODEL, messages=[{"role": "user", "content": QUESTION}]
    )
    _show(context, completion.text)
    return StepResult(meta=completion.meta, result=completion.text, tokens=_total(completion.usage))


async def _stream(context: Context) -> StepResult:
    context.output.line(f"> {STREAMED_QUESTION}", "bold")
    answer = context.output.answer()
    async with context.client.chat.completions.create(
        model=CHAT_MODEL,
        messages=[{"role": "user", "content": STREAMED_QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        async for text in stream.text():
            answer.text(text)
        completion = await stream.completion()
    answer.end()
    return StepResult(meta=completion.meta, result=completion.text, tokens=_total(completion.usage))


async def _show_picture(context: Context) -> StepResult:
    context.output.line(f"> {PICTURE_QUESTION} (a photo of Chelsea the cat)", "bold")
    photo = (files(str(__package__)) / "cat.jpg").read_bytes()
    completion = await context.client.chat.completions.create(
        model=CHAT_MODEL,
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": PICTURE_QUESTION}, await image_part(photo)],
            }
        ],
    )
    _show(context, completion.text)
    return StepResult(meta=completion.meta, result=completion.text, tokens=_total(completion.usage))


async def _draw(context: Context) -> StepResult:
    context.output.line(f"> {DRAWING}", "bold")
    response = await context.client.images.generate(
        model=IMAGE_MODEL, prompt=DRAWING, size=DRAWING_SIZE
    )
    path = await response.data[0].save(context.picture)
    size = path.stat().st_size
    context.output.line(f"Saved {path} ({size:,} bytes).")
    return StepResult(meta=response.meta, result={"path": str(path), "size": size})


def _show(context: Context, text: str) -> None:
    context.output.answer().text(text + "\n")


def _total(usage: CompletionUsage | None) -> int | None:
    return None if usage is None else usage.total_tokens


STEPS = (
    Step("models", "List the models", "await client.models.list()", _list_models),
    Step("chat", "Ask a question", "await client.chat.completions.create(...)", _ask),
    Step("stream", "Stream the answer", "async for chunk in create(..., stream=True)", _stream),
    Step("vision", "Show it a picture", 'await image_part("cat.jpg")', _show_picture),
    Step("image", "Draw a picture", "await client.images.generate(...)", _draw),
)
