"""`client.models`: https://platform.openai.com/docs/api-reference/models"""

from __future__ import annotations

from typing import Unpack

from ..options import RequestOptions
from ..types.models import Model, ModelDeleted, ModelList
from .base_client import Resource
from .endpoint import Endpoint
from .paging import Paginator
from .response_methods import Kind, Raw, Responses, Streaming, method

LIST = Endpoint("list", "GET", "/models", RequestOptions, ModelList)
RETRIEVE = Endpoint("retrieve", "GET", "/models/{model}", RequestOptions, Model)
DELETE = Endpoint("delete", "DELETE", "/models/{model}", RequestOptions, ModelDeleted)


class Models(Resource):
    """The models a server offers."""

    def list(self, **options: Unpack[RequestOptions]) -> Paginator[ModelList, Model]:
        """All models. Await the list, or iterate over the models with `async for`.

        Raises:
            APIError: see `openai_async.errors`.
        """
        return Paginator(lambda: self._client._call(LIST, options))

    async def retrieve(self, model: str, **options: Unpack[RequestOptions]) -> Model:
        """A model by its id; `NotFoundError` if there is no such model."""
        return await self._client._call(RETRIEVE, options, model=model)

    async def delete(self, model: str, **options: Unpack[RequestOptions]) -> ModelDeleted:
        """Delete a fine-tuned model of your organization."""
        return await self._client._call(DELETE, options, model=model)

    @property
    def with_raw_response(self) -> ModelResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return ModelResponses(self, Raw)

    @property
    def with_streaming_response(self) -> ModelResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return ModelResponses(self, Streaming)


class ModelResponses(Responses[Kind]):
    list = method(Models.list)
    retrieve = method(Models.retrieve)
    delete = method(Models.delete)
