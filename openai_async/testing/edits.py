"""Image edits and variations: reads the form or the JSON, and draws what it asks for."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ..vision import image_format
from . import checks
from .edited_pictures import InputFile, open_pictures
from .exchange import Exchange
from .forms import FormPart, form_fields
from .image_rules import ImageRequest, read_image_request
from .images import send_images
from .picture_store import media_type_of
from .pictures import data_at
from .responses import invalid

_TYPED = (
    *("n", "stream", "partial_images", "output_compression"),
    *("frame_count", "frame_duration_ms"),
)
_MAX_IMAGES = 16
_DEFAULT_MODEL = "gpt-image-1.5"


async def edit_images(exchange: Exchange) -> web.StreamResponse:
    if exchange.request.content_type == "application/json":
        fields = exchange.json_object()
        images = _references(exchange, fields)
        overlays = (
            {"mask": _reference(exchange, fields["mask"], "mask")} if "mask" in fields else {}
        )
    else:
        parts = exchange.form()
        fields = form_fields(parts, _TYPED)
        images = _images(parts)
        overlays = {name: _file(parts, name) for name in ("mask", "markup") if _has(parts, name)}
    request = read_image_request({"model": _DEFAULT_MODEL, **fields})
    if request.model.startswith("dall-e-3"):
        msg = f"Invalid value: '{request.model}'. Value must be 'dall-e-2'."
        raise invalid(msg, "model", "invalid_value")
    checks.choice(fields, "input_fidelity", ("high", "low"))
    if overlays and request.output_format == "gif":
        name = next(iter(overlays))
        msg = f"The parameter '{name}' is not supported with output_format=gif."
        raise invalid(msg, name, "invalid_value")
    return await _send(exchange, request, images, **overlays)


async def vary_image(exchange: Exchange) -> web.StreamResponse:
    parts = exchange.form()
    fields = form_fields(parts, _TYPED)
    request = read_image_request({**fields, "prompt": "A variation"})
    if request.is_gpt_image or request.model.startswith("dall-e-3"):
        msg = f"Invalid value: '{request.model}'. Value must be 'dall-e-2'."
        raise invalid(msg, "model", "invalid_value")
    return await _send(exchange, request, [_file(parts, "image")])


async def _send(
    exchange: Exchange, request: ImageRequest, images: list[InputFile], **overlays: InputFile
) -> web.StreamResponse:
    dall_e = not request.is_gpt_image
    pictures = await asyncio.to_thread(open_pictures, images, dall_e=dall_e, **overlays)
    return await send_images(exchange, request, pictures)


# --- pictures in a form ---


def _has(parts: list[FormPart], name: str) -> bool:
    return any(part.name == name for part in parts)


def _images(parts: list[FormPart]) -> list[InputFile]:
    """The pictures: one sent as `image`, or several as `image[]`."""
    several = [part for part in parts if part.name == "image[]"]
    if not several:
        return [_file(parts, "image")]
    _check_count(len(several))
    return [_as_file(part, f"image[{number}]") for number, part in enumerate(several)]


def _file(parts: list[FormPart], name: str) -> InputFile:
    part = next((part for part in parts if part.name == name), None)
    if part is None:
        raise checks.missing(name)
    return _as_file(part, name)


def _as_file(part: FormPart, param: str) -> InputFile:
    if part.filename is None:
        msg = f"Invalid type for '{param}': expected a file, but got a string instead."
        raise invalid(msg, param, "invalid_type")
    return InputFile(param, part.data, part.content_type or "application/octet-stream")


def _check_count(count: int) -> None:
    if count > _MAX_IMAGES:
        msg = f"Invalid 'image': at most {_MAX_IMAGES} images, got {count}."
        raise invalid(msg, "image", "array_above_max_length")


# --- pictures in JSON ---


def _references(exchange: Exchange, fields: Mapping[str, Any]) -> list[InputFile]:
    images = fields.get("images")
    if not isinstance(images, list) or not images:
        raise checks.missing("images")
    _check_count(len(images))
    return [_reference(exchange, image, f"images[{number}]") for number, image in enumerate(images)]


def _reference(exchange: Exchange, image: Any, param: str) -> InputFile:
    fields = image if isinstance(image, Mapping) else {}
    url, file_id = fields.get("image_url"), fields.get("file_id")
    if isinstance(file_id, str) and url is None:
        data = exchange.state.files.get(file_id).data
    elif isinstance(url, str) and file_id is None:
        data = data_at(url, param, exchange.state.origin, exchange.state.pictures.get)
    else:
        msg = f"Invalid '{param}': provide exactly one of image_url and file_id."
        raise invalid(msg, param, "invalid_value")
    return InputFile(param, data, media_type_of(image_format(data) or "unknown"))
