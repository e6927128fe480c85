"""`openai-async chat PROMPT`: one question and its answer, streamed or all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from .. import AsyncClient, image_part
from ..jsontext import shown
from ..types.chat import ChatCompletion
from ..types.chat_params import ChatCompletionParams
from .options import Connection, connect
from .output import Output, write_note


@frozen(kw_only=True)
class ChatOptions:
    """The options of `chat`, apart from the prompt."""

    model: str
    system: str | None = None
    images: Sequence[str] = ()
    stream: bool = True
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None


async def ask_once(
    prompt: str, options: ChatOptions, connection: Connection, output: Output
) -> None:
    async with connect(connection) as client:
        messages = [*initial_messages(options), await user_message(prompt, options.images)]
        await ask(client, messages, options, output)


def initial_messages(options: ChatOptions) -> list[Any]:
    """The messages before the first question."""
    return [] if options.system is None else [{"role": "system", "content": options.system}]


async def user_message(prompt: str, images: Sequence[str] = ()) -> Any:
    """The user's message, with pictures given as paths or URLs."""
    if not images:
        return {"role": "user", "content": prompt}
    parts = [await image_part(image) for image in images]
    return {"role": "user", "content": [{"type": "text", "text": prompt}, *parts]}


async def ask(
    client: AsyncClient,
    messages: Sequence[Any],
    options: ChatOptions,
    output: Output,
    on_text: Callable[[str], object] = lambda text: None,
) -> ChatCompletion:
    """Ask, and show the answer; `on_text` is called with each piece of streamed text."""
    params: ChatCompletionParams = {"model": options.model, "messages": messages}
    if options.max_completion_tokens is not None:
        params["max_completion_tokens"] = options.max_completion_tokens
    if options.max_tokens is not None:
        params["max_tokens"] = options.max_tokens
    if options.temperature is not None:
        params["temperature"] = options.temperature
    if options.stream:
        completion = await _stream(client, params, output, on_text)
    else:
        with output.waiting("Waiting for the answer ..."):
            completion = await client.chat.completions.create(**params)
        if output.as_json:
            output.json(completion.to_json())
        output.line(completion.text)
    if not output.as_json:
        _explain(completion)
    return completion


async def _stream(
    client: AsyncClient,
    params: ChatCompletionParams,
    output: Output,
    on_text: Callable[[str], object],
) -> ChatCompletion:
    """Show the answer as it is written."""
    last = ""
    try:
        async with client.chat.completions.create(**params, stream=True) as stream:
            async for chunk in stream:
                if output.as_json:
                    output.json(chunk.to_json())
                elif chunk.text:
                    last = chunk.text
                    on_text(last)
                    output.text(last)
            completion = await stream.completion()
    finally:
        # Even after an error or Ctrl-C, what follows begins on a new line.
        if last and not last.endswith("\n"):
            output.line()
    return completion


def _explain(completion: ChatCompletion) -> None:
    """Say why the answer is empty or incomplete, if it is."""
    if not completion.choices:
        write_note("The server sent no answer.")
        return
    choice = completion.choices[0]
    if choice.message.refusal:
        write_note(f"The model refused: {' '.join(choice.message.refusal.split())}")
    elif choice.finish_reason == "length":
        write_note("The answer was cut off at the token limit.")
    elif choice.finish_reason == "content_filter":
        write_note("The answer was cut off by the content filter.")
    elif not completion.text:
        reason = shown(choice.finish_reason)
        write_note(f"The answer has no text (finish_reason {reason}).")
