"""`client.with_raw_response` and `client.with_streaming_response`: every resource, with the methods
that return responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .response_methods import Kind, Responses

if TYPE_CHECKING:
    from .batches import BatchResponses
    from .chat import ChatResponses
    from .embeddings import EmbeddingResponses
    from .files import FileResponses
    from .images import ImageResponses
    from .models import ModelResponses
    from .moderations import ModerationResponses
    from .uploads import UploadResponses


class ClientResponses(Responses[Kind]):
    # Imported on access, as by the client itself.

    @property
    def models(self) -> ModelResponses[Kind]:
        from .models import ModelResponses, Models

        return ModelResponses(Models(self._resource._client), self._kind)

    @property
    def chat(self) -> ChatResponses[Kind]:
        from .chat import Chat, ChatResponses

        return ChatResponses(Chat(self._resource._client), self._kind)

    @property
    def images(self) -> ImageResponses[Kind]:
        from .images import ImageResponses, Images

        return ImageResponses(Images(self._resource._client), self._kind)

    @property
    def embeddings(self) -> EmbeddingResponses[Kind]:
        from .embeddings import EmbeddingResponses, Embeddings

        return EmbeddingResponses(Embeddings(self._resource._client), self._kind)

    @property
    def moderations(self) -> ModerationResponses[Kind]:
        from .moderations import ModerationResponses, Moderations

        return ModerationResponses(Moderations(self._resource._client), self._kind)

    @property
    def files(self) -> FileResponses[Kind]:
        from .files import FileResponses, Files

        return FileResponses(Files(self._resource._client), self._kind)

    @property
    def uploads(self) -> UploadResponses[Kind]:
        from .uploads import UploadResponses, Uploads

        return UploadResponses(Uploads(self._resource._client), self._kind)

    @property
    def batches(self) -> BatchResponses[Kind]:
        from .batches import Batches, BatchResponses

        return BatchResponses(Batches(self._resource._client), self._kind)
