"""`client.images`: https://platform.openai.com/docs/api-reference/images"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from ..errors import InvalidArgumentError
from ..http.request import Response
from ..streaming.images import ImageStream
from ..types.base import APIObject
from ..types.image_events import (
    ImageEditCompletedEvent,
    ImageEditPartialImageEvent,
    ImageEditStreamEvent,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
    ImageGenStreamEvent,
)
from ..types.image_params import (
    ImageCreateVariationParams,
    ImageEditParams,
    ImageGenerateParams,
)
from ..types.images import Downloader, ImagesResponse
from ..wire.codec import parse
from ..wire.failures import object_error
from ..wire.redaction import redacted
from .base_client import Resource
from .coroutine_marks import coroutine_function
from .endpoint import Endpoint
from .image_bodies import check_images, edit_body, variation_body
from .params import json_body, sent_number
from .response_methods import Kind, Method, Raw, Responses, Streaming, method

if TYPE_CHECKING:
    from ..http.multipart import Multipart
    from . import overloads

GENERATE = Endpoint("generate", "POST", "/images/generations", ImageGenerateParams, ImagesResponse)
EDIT = Endpoint("edit", "POST", "/images/edits", ImageEditParams, ImagesResponse)
CREATE_VARIATION = Endpoint(
    "create_variation", "POST", "/images/variations", ImageCreateVariationParams, ImagesResponse
)


class Images(Resource):
    """Images, generated and edited."""

    @overload
    def generate(
        self, *, stream: Literal[True], **params: Unpack[ImageGenerateParams]
    ) -> ImageStream[ImageGenStreamEvent]: ...

    @overload
    def generate(
        self, *, stream: Literal[False] | None = None, **params: Unpack[ImageGenerateParams]
    ) -> Coroutine[Any, Any, ImagesResponse]: ...

    @overload
    def generate(
        self, *, stream: bool | None, **params: Unpack[ImageGenerateParams]
    ) -> Coroutine[Any, Any, ImagesResponse] | ImageStream[ImageGenStreamEvent]: ...

    @coroutine_function
    def generate(
        self, *, stream: bool | None = None, **params: Unpack[ImageGenerateParams]
    ) -> Coroutine[Any, Any, ImagesResponse] | ImageStream[ImageGenStreamEvent]:
        """Generate pictures. `await image.save(path)` on each in `.data` writes it to a file.

        The parameters for dall-e-2 and dall-e-3 are checked here; those for other models are sent
        as they are.

        Raises:
            InvalidArgumentError: `prompt` is empty, or the model does not accept a parameter.
            TypeError: a parameter is missing or unknown.
            APIError: see `openai_async.errors`.
        """
        GENERATE.check(params)
        _check_prompt(params)
        _check_model_rules(params)
        body = json_body(params, params.get("extra_body"), stream)
        if not stream:
            return self._pictures(GENERATE, body, params)
        return ImageStream(
            self._client._connector(GENERATE, params, body),
            events=(ImageGenPartialImageEvent, ImageGenCompletedEvent),
            n=sent_number(params, "n", 1),
            download=Downloader(self._client._download),
        )

    @overload
    def edit(
        self, *, stream: Literal[True], **params: Unpack[ImageEditParams]
    ) -> ImageStream[ImageEditStreamEvent]: ...

    @overload
    def edit(
        self, *, stream: Literal[False] | None = None, **params: Unpack[ImageEditParams]
    ) -> Coroutine[Any, Any, ImagesResponse]: ...

    @overload
    def edit(
        self, *, stream: bool | None, **params: Unpack[ImageEditParams]
    ) -> Coroutine[Any, Any, ImagesResponse] | ImageStream[ImageEditStreamEvent]: ...

    @coroutine_function
    def edit(
        self, *, stream: bool | None = None, **params: Unpack[ImageEditParams]
    ) -> Coroutine[Any, Any, ImagesResponse] | ImageStream[ImageEditStreamEvent]:
        """Change a picture, or combine several into one.

        A picture is a path, bytes, an open file, a PIL image, one of the pictures of an answer, or
        a tuple `(filename, content, media_type)`. Its media type is detected from its bytes. GPT
        image models accept references, too: `{"image_url": "https://..."}` and `{"file_id": ...}`.

        Raises:
            InvalidArgumentError: `prompt` is empty, a picture cannot be read, or dall-e-2 does not
                accept it.
            TypeError: a parameter is missing or unknown.
            APIError: see `openai_async.errors`.

        Example::

            images = await client.images.edit(
                model="gpt-image-2", image=["cat.png", "hat.png"], prompt="The cat wears the hat"
            )
        """
        EDIT.check(params)
        _check_prompt(params)
        _check_model_rules(params)
        check_images(params)
        if not stream:
            return self._edit(params, stream)

        async def connect(on_open: Callable[[Response], Awaitable[None]]) -> Response:
            body = await edit_body(params, stream)
            return await self._client._connector(EDIT, params, body)(on_open)

        return ImageStream(
            connect,
            events=(ImageEditPartialImageEvent, ImageEditCompletedEvent),
            n=sent_number(params, "n", 1),
            download=Downloader(self._client._download),
        )

    async def _edit(self, params: ImageEditParams, stream: bool | None) -> ImagesResponse:
        return await self._pictures(EDIT, await edit_body(params, stream), params)

    async def create_variation(
        self, **params: Unpack[ImageCreateVariationParams]
    ) -> ImagesResponse:
        """Draw variations of a picture, on servers that still have dall-e-2.

        Raises:
            InvalidArgumentError: the picture cannot be read, or dall-e-2 (the default model) does
                not accept it: it accepts square PNG files below 4 MB.
            TypeError: a parameter is missing or unknown.
            APIError: see `openai_async.errors`.

        Example::

            images = await client.images.create_variation(image="cat.png", n=2, size="512x512")
        """
        CREATE_VARIATION.check(params)
        _check_model_rules(params)
        return await self._pictures(CREATE_VARIATION, await variation_body(params), params)

    async def _pictures(
        self,
        endpoint: Endpoint[ImagesResponse],
        body: bytes | Multipart,
        params: Mapping[str, Any],
    ) -> ImagesResponse:
        client = self._client
        response = await client._send(client._request(endpoint.method, endpoint.path, body, params))
        answer = parse(ImagesResponse, response.body, response.meta, response.secret)
        if fields := _fields_instead(answer):
            raise object_error(redacted(fields, response.secret), response.headers)
        download = Downloader(client._download)
        for image in answer.data:
            image._download = download
        return answer

    @property
    def with_raw_response(self) -> ImageResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return ImageResponses(self, Raw)

    @property
    def with_streaming_response(self) -> ImageResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return ImageResponses(self, Streaming)


class ImageResponses(Responses[Kind]):
    generate: overloads.Generate = Method()
    edit: overloads.Edit = Method()
    create_variation = method(Images.create_variation)


def _fields_instead(answer: ImagesResponse) -> dict[str, Any]:
    """The other fields of an answer without a picture: MiniMax and others put failures there."""
    if any(image._places() for image in answer.data):
        return {}
    objects: list[APIObject] = [*answer.data, answer]
    return {key: value for item in objects for key, value in item.extra.items() if value}


def _check_prompt(params: Mapping[str, Any]) -> None:
    if not isinstance(params["prompt"], str) or not params["prompt"].strip():
        msg = "prompt is empty: describe the picture to generate."
        raise InvalidArgumentError(msg)


# For each model: the largest n, the sizes, and the values of quality and style (None: not
# accepted), according to OpenAI's reference. Size and quality default to "auto" for every model.
_RULES: dict[str, tuple[int, tuple[str, ...], tuple[str, ...] | None, tuple[str, ...] | None]] = {
    "dall-e-2": (10, ("256x256", "512x512", "1024x1024", "auto"), ("standard", "auto"), None),
    "dall-e-3": (
        1,
        ("1024x1024", "1792x1024", "1024x1792", "auto"),
        ("standard", "hd", "auto"),
        ("vivid", "natural"),
    ),
}


def _check_model_rules(params: Mapping[str, Any]) -> None:
    """Refuse before sending what the API would refuse. `None` means the server's default."""
    model = params.get("model")
    if not isinstance(model, str) or model not in _RULES:
        return
    most, sizes, qualities, styles = _RULES[model]
    n = params.get("n")
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= most):
        allowed = "1 picture" if most == 1 else f"1 to {most} pictures"
        msg = f"n is {n!r}: {model} generates {allowed} per request."
        raise InvalidArgumentError(msg)
    for name, choices in (("size", sizes), ("quality", qualities), ("style", styles)):
        value = params.get(name)
        if value is None:
            continue
        if choices is None:
            msg = f"{model} does not accept {name}: leave it out."
            raise InvalidArgumentError(msg)
        if value not in choices:
            msg = f"{name} is {value!r}: {model} accepts {', '.join(choices)}."
            raise InvalidArgumentError(msg)
