"""`client.models`: https://platform.openai.com/docs/api-reference/models"""

from __future__ import annotations

from typing import Unpack

from ..options import REQUEST_OPTIONS, RequestOptions
from ..types.models import Model, ModelDeleted, ModelList
from .base import Resource, check_known, path_segment


class Models(Resource):
    """The models a server offers."""

    async def list(self, **options: Unpack[RequestOptions]) -> ModelList:
        """All models.

        Raises:
            APIError: see `openai_async.errors`.
        """
        check_known("list", options, REQUEST_OPTIONS)
        return await self._client._call(ModelList, "GET", "/models", None, options)

    async def retrieve(self, model: str, **options: Unpack[RequestOptions]) -> Model:
        """One model by its id; `NotFoundError` if there is none of that name."""
        check_known("retrieve", options, REQUEST_OPTIONS)
        path = f"/models/{path_segment('model', model)}"
        return await self._client._call(Model, "GET", path, None, options)

    async def delete(self, model: str, **options: Unpack[RequestOptions]) -> ModelDeleted:
        """Delete a fine-tuned model of your organization."""
        check_known("delete", options, REQUEST_OPTIONS)
        path = f"/models/{path_segment('model', model)}"
        return await self._client._call(ModelDeleted, "DELETE", path, None, options)
