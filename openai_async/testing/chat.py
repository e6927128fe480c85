"""Chat completions: reads the request, looks at its pictures, composes and sends the answer."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from ..jsontext import dumps
from .chat_request import ChatRequest, read_request, unchecked_request
from .choices import Choice, compose
from .completions import Answer
from .exchange import Exchange
from .image_rules import is_image_model
from .messages import ImagePart
from .pictures import inspect_image
from .responses import RefusedError, json_response
from .script import Reply
from .sending import send_events
from .tokens import image_tokens, tokenize


async def create_chat_completion(exchange: Exchange) -> web.StreamResponse:
    body = exchange.json_object()
    answer = await _answer(exchange, body)
    if exchange.decision is not None:  # else the usage of a stream need not be counted
        exchange.settle(answer.usage)
    if body.get("store") is True:
        exchange.state.chats.put(answer.completion(), body)
    if not answer.request.stream:
        return json_response(answer.completion())
    return await send_events(exchange, answer.events())


async def _answer(exchange: Exchange, body: dict[str, Any]) -> Answer:
    reply = exchange.reply
    if reply is not None:
        request = unchecked_request(body)
        choices = [_scripted(reply, request) for _ in range(request.n)]
        return Answer(request, choices, scripted_usage=reply.usage)
    request = read_request(body)
    exchange.state.models.get(request.model)
    if is_image_model(request.model):
        msg = f"This is not a chat model and thus not supported in {exchange.record.path[1:]}."
        raise RefusedError(404, msg, param="model", code="model_not_found")
    seen: dict[ImagePart, str] = {}
    spent = 0
    for part in _image_parts(request):
        picture = await asyncio.to_thread(
            inspect_image, part, exchange.state.origin, exchange.state.pictures.get
        )
        seen[part] = picture.description
        spent += image_tokens(picture.width, picture.height, part.detail)
    question = request.last_user_message
    shown = [seen[part] for part in question.images] if question is not None else []
    choices = [compose(request, shown, index) for index in range(request.n)]
    return Answer(request, choices, image_tokens=spent)


def _image_parts(request: ChatRequest) -> Iterator[ImagePart]:
    for message in request.messages:
        yield from message.images


def _scripted(reply: Reply, request: ChatRequest) -> Choice:
    calls = [_full_call(call) for call in reply.tool_calls or ()]
    text = reply.content if reply.content is not None else reply.refusal
    return Choice(
        tokens=tokenize(text or ""),
        reasoning=tokenize(reply.reasoning or ""),
        content=reply.content,
        refusal=reply.refusal,
        tool_calls=calls,
        finish_reason=reply.finish_reason or ("tool_calls" if calls else "stop"),
        extra=reply.extra or {},
    )


def _full_call(call: dict[str, Any]) -> dict[str, Any]:
    """A tool call in the API's form, made from the short or the full one."""
    kind = "custom" if "custom" in call else "function"
    details = dict(call.get(kind) or {"name": call["name"], "arguments": call.get("arguments", {})})
    field = "input" if kind == "custom" else "arguments"
    if not isinstance(details.get(field), str):
        details[field] = dumps(details.get(field, {})).decode()
    call_id = call.get("id") or f"call_{uuid.uuid4().hex[:24]}"
    return {"id": call_id, "type": kind, kind: details}
