"""Generated images: drawn from the prompt; sent by URL, as base64 or as a stream."""

import asyncio
import base64
import time
from typing import Any

from aiohttp import web

from ..jsontext import dumps
from .drawing import Drawing, draw, draw_with_previews
from .edited_pictures import EditedPictures
from .exchange import Exchange
from .image_rules import ImageRequest, read_image_request
from .picture_store import PICTURES_PATH
from .responses import invalid, json_response
from .sending import Event, send_events
from .tokens import count_tokens

# Output tokens as OpenAI documents them: by quality, for a square, a portrait, a landscape. For
# higher qualities they are not documented: here they cost as much as "high".
_OUTPUT_TOKENS = {
    "low": (272, 408, 400),
    "medium": (1056, 1584, 1568),
    "high": (4160, 6240, 6208),
}

# For each picture to edit; the real number is not documented.
_INPUT_TOKENS = 272


async def generate_images(exchange: Exchange) -> web.StreamResponse:
    request = read_image_request(exchange.json_object())
    return await send_images(exchange, request)


async def send_images(
    exchange: Exchange, request: ImageRequest, pictures: EditedPictures | None = None
) -> web.StreamResponse:
    """Draw what was requested, on top of `pictures` if there are any, and send it."""
    exchange.state.models.get(request.model)
    if request.stream:
        return await _stream(exchange, request, pictures)
    data = []
    for index in range(request.n):
        file = await asyncio.to_thread(draw, _drawing(request, index, pictures))
        data.append(_image(exchange, request, file))
    answer: dict[str, Any] = {"created": int(time.time()), "data": data}
    if request.is_gpt_image:
        answer |= {**_properties(request), "usage": _usage(request, pictures)}
    if request.svg_author is not None:
        answer["svg_usage"] = _svg_usage(request)
    if request.safety_identifier is not None:
        answer["safety_identifier"] = request.safety_identifier
    return json_response(answer)


def _drawing(request: ImageRequest, index: int, pictures: EditedPictures | None) -> Drawing:
    width, height = request.dimensions
    return Drawing(
        prompt=request.prompt,
        index=index,
        width=width,
        height=height,
        format=request.output_format,
        compression=request.compression,
        transparent=request.background == "transparent",
        frames=request.frames,
        frame_duration_ms=request.frame_duration_ms,
        base=None if pictures is None else pictures.base,
        mask=None if pictures is None else pictures.mask,
    )


def _image(exchange: Exchange, request: ImageRequest, file: bytes) -> dict[str, str]:
    image = {}
    if request.model.startswith("dall-e-3"):
        image["revised_prompt"] = (
            f"A calm landscape in soft colours with a sun over gentle hills, inspired by: "
            f"{request.prompt}"
        )
    if request.as_url:
        name = exchange.state.pictures.put(file, request.output_format)
        image["url"] = f"{exchange.state.origin}{PICTURES_PATH}{name}"
    else:
        image["b64_json"] = base64.b64encode(file).decode()
    return image


async def _stream(
    exchange: Exchange, request: ImageRequest, pictures: EditedPictures | None
) -> web.StreamResponse:
    if request.n > 1:
        raise invalid("Streaming is only supported with n=1.", "n", "invalid_value")
    files = await asyncio.to_thread(
        draw_with_previews, _drawing(request, 0, pictures), request.partial_images
    )
    created = int(time.time())
    prefix = "image_generation" if pictures is None else "image_edit"
    events = []
    for number, file in enumerate(files):
        completed = number == len(files) - 1
        kind = "completed" if completed else "partial_image"
        payload = {
            "type": f"{prefix}.{kind}",
            "b64_json": base64.b64encode(file).decode(),
            "created_at": created,
            **_properties(request),
        }
        payload |= (
            {"usage": _usage(request, pictures)} if completed else {"partial_image_index": number}
        )
        head = f"event: {prefix}.{kind}\ndata: ".encode()
        # For a scripted failure each partial picture counts as one token.
        event = Event(head + dumps(payload) + b"\n\n", not completed, completed)
        events.append(event)
    return await send_events(exchange, events)


def _properties(request: ImageRequest) -> dict[str, str]:
    return {
        "size": request.size,
        "quality": request.quality,
        "background": request.background,
        "output_format": request.output_format,
    }


def _usage(request: ImageRequest, pictures: EditedPictures | None) -> dict[str, Any]:
    width, height = request.dimensions
    shape = 0 if width == height else 1 if width < height else 2
    text = count_tokens(request.prompt)
    image = 0 if pictures is None else pictures.count * _INPUT_TOKENS
    output = _OUTPUT_TOKENS.get(request.quality, _OUTPUT_TOKENS["high"])[shape] * request.n
    return {
        "input_tokens": text + image,
        "input_tokens_details": {"text_tokens": text, "image_tokens": image},
        "output_tokens": output,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": output},
        "total_tokens": text + image + output,
    }


def _svg_usage(request: ImageRequest) -> dict[str, Any]:
    text = count_tokens(request.prompt)
    return {
        "model": request.svg_author,
        "input_tokens": text,
        "output_tokens": 1000,
        "reasoning_tokens": 0,
        "total_tokens": text + 1000,
    }
