"""The image request, checked against what each family of image models allows."""

import re
from collections.abc import Mapping
from typing import Any

import attrs

from ..jsontext import shown
from . import checks
from .models import DEFAULT_MODELS
from .responses import invalid

_ONLY_GPT_IMAGE = (
    "background",
    "complexity",
    "frame_count",
    "frame_duration_ms",
    "moderation",
    "output_compression",
    "output_format",
    "partial_images",
    "stream",
    "svg",
)
# Parameters that are not allowed for a GIF or an SVG.
_ONLY_OTHER_FORMATS = ("stream", "partial_images", "output_compression")
# Parameters that are allowed for one format only.
_ONLY_WITH = {"frame_count": "gif", "frame_duration_ms": "gif", "svg": "svg"}


@attrs.frozen
class _Family:
    max_n: int
    max_prompt: int
    sizes: tuple[str, ...] | None
    """`None` for any size that follows the rules of `_free_size`."""
    qualities: tuple[str, ...]


# The family of all models without known rules of their own.
_NEWEST = "gpt-image"
_FAMILIES = {
    "dall-e-2": _Family(
        10, 1000, ("256x256", "512x512", "1024x1024", "auto"), ("standard", "auto")
    ),
    "dall-e-3": _Family(
        1, 4000, ("1024x1024", "1792x1024", "1024x1792", "auto"), ("standard", "hd", "auto")
    ),
    "gpt-image-1": _Family(
        10,
        32000,
        ("1024x1024", "1536x1024", "1024x1536", "auto"),
        ("low", "medium", "high", "auto"),
    ),
    _NEWEST: _Family(10, 32000, None, ("low", "medium", "high", "xhigh", "max", "auto")),
}
_FORMATS = ("png", "jpeg", "webp", "gif", "svg")
# From the API reference on gpt-image-2: sides are multiples of this many pixels, neither is more
# than three times the other, and there is a maximum of pixels.
_SIDE = 16
_MAX_RATIO = 3
_MAX_PIXELS = 3840 * 2160


@attrs.frozen
class ImageRequest:
    model: str
    prompt: str
    n: int
    size: str
    quality: str
    as_url: bool
    stream: bool
    partial_images: int
    output_format: str
    compression: int
    background: str
    frames: int = 1
    frame_duration_ms: int = 200
    svg_author: str | None = None
    safety_identifier: str | None = None

    @property
    def is_gpt_image(self) -> bool:
        return _is_gpt_image(_family_name(self.model))

    @property
    def dimensions(self) -> tuple[int, int]:
        width, height = self.size.split("x")
        return int(width), int(height)


def is_image_model(model: str) -> bool:
    return any(model.startswith(name) for name in _FAMILIES)


def _family_name(model: str) -> str | None:
    known = next((name for name in _FAMILIES if model.startswith(name)), None)
    if known is not None or model in DEFAULT_MODELS:
        return known
    return _NEWEST  # a model of the user's own: the request says that it draws


def _is_gpt_image(family_name: str | None) -> bool:
    return family_name is not None and family_name.startswith(_NEWEST)


def read_image_request(body: Mapping[str, Any]) -> ImageRequest:
    """The request, every field of it checked against the rules of its model."""
    model = "dall-e-2" if body.get("model") is None else checks.required_string(body, "model")
    family_name = _family_name(model)
    if family_name is None:
        msg = f"The model '{model}' cannot generate images."
        raise invalid(msg, "model", "invalid_value")
    family = _FAMILIES[family_name]
    is_gpt_image = _is_gpt_image(family_name)
    prompt = checks.required_string(body, "prompt")
    if len(prompt) > family.max_prompt:
        msg = f"Invalid 'prompt': at most {family.max_prompt} characters for {model}."
        raise invalid(msg, "prompt", "string_above_max_length")
    _refuse_unsupported_fields(body, model, family_name)
    checks.choice(body, "style", ("vivid", "natural"))
    checks.choice(body, "moderation", ("low", "auto"))
    as_url = checks.choice(body, "response_format", ("url", "b64_json")) != "b64_json"
    checks.choice(body, "complexity", ("low", "medium", "high"))
    size = _free_size(body) if family.sizes is None else checks.choice(body, "size", family.sizes)
    stream = checks.boolean(body, "stream")
    output_format = checks.choice(body, "output_format", _FORMATS) or "png"
    _check_format(body, output_format)
    background = checks.choice(body, "background", ("transparent", "opaque", "auto"))
    if background == "transparent" and output_format not in ("png", "webp"):
        msg = "A transparent background needs the output_format 'png' or 'webp'."
        raise invalid(msg, "background", "invalid_value")
    compression = checks.integer(body, "output_compression", 0, 100)
    if compression not in (None, 100) and output_format == "png":
        msg = "Compression less than 100 is not supported for PNG output format."
        raise invalid(msg, "output_compression", "invalid_value")
    quality = checks.choice(body, "quality", family.qualities)
    return ImageRequest(
        model=model,
        prompt=prompt,
        n=checks.integer(body, "n", 1, family.max_n) or 1,
        size="1024x1024" if size in (None, "auto") else str(size),
        # The answer reports what `auto` became.
        quality=_quality(quality, is_gpt_image),
        as_url=as_url and not is_gpt_image,
        stream=stream,
        partial_images=_partial_images(body, stream),
        output_format=output_format,
        compression=100 if compression is None else compression,
        background="opaque" if background in (None, "auto") else str(background),
        frames=(checks.integer(body, "frame_count", 2, 16) or 9) if output_format == "gif" else 1,
        frame_duration_ms=checks.integer(body, "frame_duration_ms", 1) or 200,
        svg_author=_svg_author(body) if output_format == "svg" else None,
        safety_identifier=_end_user(body),
    )


def _end_user(body: Mapping[str, Any]) -> str | None:
    names = ("safety_identifier", "user")
    return next((checks.required_string(body, name) for name in names if body.get(name)), None)


def _check_format(body: Mapping[str, Any], output_format: str) -> None:
    for name, needed in _ONLY_WITH.items():
        if body.get(name) is not None and output_format != needed:
            msg = f"The parameter '{name}' is only supported with output_format={needed}."
            raise invalid(msg, name, "invalid_value")
    if output_format not in _ONLY_WITH.values():
        return
    for name in _ONLY_OTHER_FORMATS:
        if body.get(name):
            msg = f"The parameter '{name}' is not supported with output_format={output_format}."
            raise invalid(msg, name, "invalid_value")
    if output_format == "svg":
        checks.integer(body, "n", 1, 1)


def _svg_author(body: Mapping[str, Any]) -> str:
    author = body.get("svg")
    if author is None:
        return "svg-author"
    if not isinstance(author, Mapping):
        raise invalid("Invalid type for 'svg': expected an object.", "svg", "invalid_type")
    return checks.required_string(author, "model")


def _quality(asked: str | None, is_gpt_image: bool) -> str:
    if asked in (None, "auto"):
        return "high" if is_gpt_image else "standard"
    return str(asked)


def _free_size(body: Mapping[str, Any]) -> str | None:
    size = body.get("size")
    if size is None or size == "auto":
        return size
    sides = _SIZE.fullmatch(size) if isinstance(size, str) else None
    width, height = map(int, sides.groups()) if sides is not None else (0, 0)
    if (
        not min(width, height)
        or width % _SIDE
        or height % _SIDE
        or max(width, height) > _MAX_RATIO * min(width, height)
        or width * height > _MAX_PIXELS
    ):
        msg = (
            f"Invalid size {shown(size)}: sides must be multiples of {_SIDE}, 1:3 to 3:1, up to 4K."
        )
        raise invalid(msg, "size", "invalid_value")
    return f"{width}x{height}"


_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)


def _refuse_unsupported_fields(body: Mapping[str, Any], model: str, family_name: str) -> None:
    if _is_gpt_image(family_name):
        unsupported: tuple[str, ...] = ("response_format", "style")
    elif family_name == "dall-e-2":
        unsupported = (*_ONLY_GPT_IMAGE, "style")
    else:
        unsupported = _ONLY_GPT_IMAGE
    for name in unsupported:
        # `stream: false` is harmless, and SDKs send it to every model.
        if body.get(name) not in (None, False):
            msg = f"The parameter '{name}' is not supported by the model {model}."
            raise invalid(msg, name, "unknown_parameter")


def _partial_images(body: Mapping[str, Any], stream: bool) -> int:
    partial_images = checks.integer(body, "partial_images", 0, 3) or 0
    if partial_images and not stream:
        msg = "The 'partial_images' parameter is only allowed when 'stream' is enabled."
        raise invalid(msg, "partial_images")
    return partial_images
