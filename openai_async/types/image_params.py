"""The parameters of the Images API.

https://platform.openai.com/docs/api-reference/images
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from typing_extensions import TypedDict

from ..images.reading import ImageFile
from ..options import BaseRequestOptions


class _SvgRequired(TypedDict):
    # A separate class, so that `__required_keys__` lists it: see `chat_params`.
    model: str


class SvgReasoning(TypedDict, total=False):
    """How much the model that writes an SVG reasons."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | str | None


class Svg(_SvgRequired, total=False):
    """The model that writes an SVG; the request's own `model` draws its reference image."""

    reasoning: SvgReasoning | None


class _ImageParams(BaseRequestOptions, total=False):
    """What `images.generate` and `images.edit` have in common."""

    # Any text is allowed where new models may add values; known values are listed for editors.
    model: str | None
    n: int | None
    """1 to 10 pictures."""
    size: str | None
    """"auto", or the width and height in pixels, like "1536x864"."""
    quality: Literal["standard", "hd", "low", "medium", "high", "xhigh", "max", "auto"] | str | None
    complexity: Literal["low", "medium", "high"] | str | None
    """How much the model plans before it draws, whatever the quality."""
    background: Literal["transparent", "opaque", "auto"] | str | None
    response_format: Literal["url", "b64_json"] | None
    """For DALL-E models only: others always return base64."""
    output_format: Literal["png", "jpeg", "webp", "gif", "svg"] | str | None
    output_compression: int | None
    """0 to 100 percent, for JPEG and WebP."""
    frame_count: int | None
    """2 to 16 frames, for GIF."""
    frame_duration_ms: int | None
    """Milliseconds that each frame of a GIF is shown; the API rounds it to 10 ms."""
    svg: Svg | None
    partial_images: int | None
    """0 to 3 partial pictures, in a stream."""
    moderation: Literal["low", "auto"] | str | None
    safety_identifier: str | None
    """A hash that identifies the end user, so that abuse can be detected."""
    user: str
    """The older name of `safety_identifier`."""


class _GenerateRequired(TypedDict):
    prompt: str


class ImageGenerateParams(_GenerateRequired, _ImageParams, total=False, closed=True):
    """The parameters of `images.generate`, except `stream`. Those left out are not sent."""

    style: Literal["vivid", "natural"] | None
    """For dall-e-3 only."""


class ImageReference(TypedDict, total=False):
    """A picture that the server has or fetches; set exactly one of the two."""

    image_url: str
    """An http(s) or data URL."""
    file_id: str
    """The id of a picture that was uploaded with `client.files`."""


class _EditRequired(TypedDict):
    image: ImageFile | ImageReference | Sequence[ImageFile | ImageReference]
    prompt: str


class ImageEditParams(_EditRequired, _ImageParams, total=False, closed=True):
    """The parameters of `images.edit`, except `stream`. Those left out are not sent."""

    mask: ImageFile | ImageReference
    """A PNG, transparent where the first picture is to be changed, of the same width and height."""
    markup: ImageFile
    """A transparent PNG with notes for the edit, laid over the first picture, of the same size."""
    input_fidelity: Literal["high", "low"] | None
    """How faithfully faces and other details are preserved."""


class _VariationRequired(TypedDict):
    image: ImageFile


class ImageCreateVariationParams(_VariationRequired, BaseRequestOptions, total=False, closed=True):
    """The parameters of `images.create_variation`. Those left out are not sent."""

    model: str | None
    n: int | None
    """1 to 10 pictures."""
    response_format: Literal["url", "b64_json"] | None
    size: Literal["256x256", "512x512", "1024x1024"] | str | None
    user: str
