"""The steps of the demo: each is what a user of the package would write, and shows its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import frozen

from .. import AsyncClient, image_part
from ..types.base import ResponseMeta
from ..types.chat import CompletionUsage
from .models import COLUMNS, day
from .options import CHAT_MODEL, IMAGE_MODEL
from .output import Output

QUESTION = "Why do cats purr?"
STREAMED_QUESTION = "And now word by word, please: what do they dream of?"
PICTURE_QUESTION = "What is in this picture?"
DRAWING = "An otter who reads a book by candlelight"
DRAWING_SIZE = "1024x1024"


@frozen(kw_only=True)
class Stage:
    """What the steps work with."""

    client: AsyncClient
    output: Output
    picture: Path
    """Where the drawing goes."""


@frozen(kw_only=True)
class Outcome:
    """What a step leaves for the table and for `--json`."""

    meta: ResponseMeta
    result: Any
    tokens: int | None = None


@frozen
class Step:
    name: str
    title: str
    call: str
    """The one line of Python to remember."""
    run: Callable[[Stage], Awaitable[Outcome]]


async def _list_models(stage: Stage) -> Outcome:
    models = await stage.client.models.list()
    rows = [(model.id, model.owned_by, day(model.created)) for model in models]
    stage.output.table(COLUMNS, rows, piped_header=True)
    return Outcome(meta=models.meta, result=[model.id for model in models])


async def _ask(stage: Stage) -> Outcome:
    stage.output.line(f"> {QUESTION}", "bold")
    completion = await stage.client.chat.completions.create(
        model=CHAT_MODEL, messages=[{"role": "user", "content": QUESTION}]
    )
    stage.output.line(completion.text)
    return Outcome(meta=completion.meta, result=completion.text, tokens=_total(completion.usage))


async def _stream(stage: Stage) -> Outcome:
    stage.output.line(f"> {STREAMED_QUESTION}", "bold")
    async with stage.client.chat.completions.create(
        model=CHAT_MODEL,
        messages=[{"role": "user", "content": STREAMED_QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        async for text in stream.text():
            stage.output.text(text)
        completion = await stream.completion()
    stage.output.line()
    return Outcome(meta=completion.meta, result=completion.text, tokens=_total(completion.usage))


async def _show_picture(stage: Stage) -> Outcome:
    stage.output.line(f"> {PICTURE_QUESTION} (a photo of Chelsea the cat)", "bold")
    photo = (files(__package__) / "cat.jpg").read_bytes()
    completion = await stage.client.chat.completions.create(
        model=CHAT_MODEL,
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": PICTURE_QUESTION}, await image_part(photo)],
            }
        ],
    )
    stage.output.line(completion.text)
    return Outcome(meta=completion.meta, result=completion.text, tokens=_total(completion.usage))


async def _draw(stage: Stage) -> Outcome:
    stage.output.line(f"> {DRAWING}", "bold")
    response = await stage.client.images.generate(
        model=IMAGE_MODEL, prompt=DRAWING, size=DRAWING_SIZE
    )
    path = await response.data[0].save(stage.picture)
    size = path.stat().st_size
    stage.output.line(f"Saved {path} ({size:,} bytes).")
    return Outcome(meta=response.meta, result={"path": str(path), "size": size})


def _total(usage: CompletionUsage | None) -> int | None:
    return None if usage is None else usage.total_tokens


STEPS = (
    Step("models", "List the models", "await client.models.list()", _list_models),
    Step("chat", "Ask a question", "await client.chat.completions.create(...)", _ask),
    Step("stream", "Stream the answer", "async for chunk in create(..., stream=True)", _stream),
    Step("vision", "Show it a picture", 'await image_part("cat.jpg")', _show_picture),
    Step("image", "Draw a picture", "await client.images.generate(...)", _draw),
)
