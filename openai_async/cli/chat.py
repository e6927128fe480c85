"""`openai-async chat PROMPT`: one question and its answer, streamed or all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import frozen

from .. import AsyncClient, image_part
from ..jsontext import shown
from ..types.chat import ChatCompletion
from ..types.chat_option_params import ResponseFormatJSONSchema
from ..types.chat_params import ChatCompletionParams
from .errors import CommandError
from .json_answer import checked_json
from .options import Connection, connect
from .output import Output, write_note


@frozen(kw_only=True)
class ChatOptions:
    """The options of `chat`, apart from the prompt."""

    model: str
    system: str | None = None
    images: Sequence[str] = ()
    response_format: ResponseFormatJSONSchema | None = None
    stream: bool = True
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None


async def ask_once(
    prompt: str, options: ChatOptions, connection: Connection, output: Output
) -> None:
    async with connect(connection) as client:
        asked = user_message(prompt, await picture_parts(options.images))
        await ask(client, [*system_messages(options.system), asked], options, output)


def system_messages(system: str | None) -> list[Any]:
    """The messages before the first question."""
    return [] if system is None else [{"role": "system", "content": system}]


async def picture_parts(images: Iterable[str]) -> list[Any]:
    """The content parts of pictures given as paths or URLs."""
    return [await image_part(image) for image in images]


def user_message(prompt: str, pictures: Sequence[Any]) -> Any:
    if not pictures:
        return {"role": "user", "content": prompt}
    return {"role": "user", "content": [{"type": "text", "text": prompt}, *pictures]}


async def ask(
    client: AsyncClient,
    messages: Sequence[Any],
    options: ChatOptions,
    output: Output,
    on_text: Callable[[str], object] = lambda text: None,
) -> ChatCompletion:
    """Ask, and show the answer; `on_text` is called with each piece of streamed text.

    Raises:
        CommandError: a schema was passed, and the answer is incomplete or does not match it.
    """
    params = _params(messages, options)
    as_written = options.response_format is None or output.as_json
    if options.stream and as_written:
        completion = await _stream(client, params, output, on_text)
    else:
        with output.waiting("Waiting for the answer ..."):
            completion = await _whole(client, params, stream=options.stream)
        if output.as_json:
            output.json(completion.to_json())
        elif as_written:
            output.answer().text(completion.text + "\n")
    flaw = _flaw(completion)
    if options.response_format is not None:
        if flaw is not None:
            raise CommandError(flaw)
        schema = options.response_format["json_schema"].get("schema", {})
        output.document(checked_json(completion.text, schema))
    elif flaw is not None and not output.as_json:
        write_note(flaw)
    return completion


def _params(messages: Sequence[Any], options: ChatOptions) -> ChatCompletionParams:
    params: ChatCompletionParams = {"model": options.model, "messages": messages}
    if options.response_format is not None:
        params["response_format"] = options.response_format
    if options.max_completion_tokens is not None:
        params["max_completion_tokens"] = options.max_completion_tokens
    if options.max_tokens is not None:
        params["max_tokens"] = options.max_tokens
    if options.temperature is not None:
        params["temperature"] = options.temperature
    return params


async def _stream(
    client: AsyncClient,
    params: ChatCompletionParams,
    output: Output,
    on_text: Callable[[str], object],
) -> ChatCompletion:
    """Show the answer as it is written."""
    answer = output.answer()
    try:
        async with client.chat.completions.create(**params, stream=True) as stream:
            async for chunk in stream:
                if output.as_json:
                    output.json(chunk.to_json())
                elif chunk.text:
                    on_text(chunk.text)
                    answer.text(chunk.text)
            return await stream.completion()
    finally:
        # Even after an error or Ctrl-C, what follows begins on a new line.
        answer.end()


async def _whole(
    client: AsyncClient, params: ChatCompletionParams, *, stream: bool
) -> ChatCompletion:
    """The whole answer. A stream may take as long as it likes, if it never pauses for too long."""
    if not stream:
        return await client.chat.completions.create(**params)
    async with client.chat.completions.create(**params, stream=True) as chunks:
        return await chunks.completion()


def _flaw(completion: ChatCompletion) -> str | None:
    """Why the answer is empty or incomplete, if it is."""
    if not completion.choices:
        return "The server sent no answer."
    choice = completion.choices[0]
    if choice.message.refusal:
        return f"The model refused: {' '.join(choice.message.refusal.split())}"
    if choice.finish_reason == "length":
        return "The answer was cut off at the token limit."
    if choice.finish_reason == "content_filter":
        return "The answer was cut off by the content filter."
    if not completion.text:
        return f"The answer has no text (finish_reason {shown(choice.finish_reason)})."
    return None
