"""Requests and responses, one file per API: parameters are TypedDicts, responses attrs classes.

The names that `openai.types` has for them can be imported from here, those of chats from
`openai_async.types.chat`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .._submodules import submodule

if TYPE_CHECKING:
    from .batches import (
        Batch,
        BatchCreateParams,
        BatchError,
        BatchListParams,
        BatchRequestCounts,
        BatchUsage,
    )
    from .chat_common import CompletionUsage
    from .embeddings import CreateEmbeddingResponse, Embedding, EmbeddingCreateParams
    from .file_types import FileContent
    from .files import FileCreateParams, FileDeleted, FileListParams, FileObject, FilePurpose
    from .image_events import (
        ImageEditCompletedEvent,
        ImageEditPartialImageEvent,
        ImageEditStreamEvent,
        ImageGenCompletedEvent,
        ImageGenPartialImageEvent,
        ImageGenStreamEvent,
    )
    from .image_params import ImageCreateVariationParams, ImageEditParams, ImageGenerateParams
    from .images import Image, ImagesResponse
    from .models import Model, ModelDeleted
    from .moderations import (
        Moderation,
        ModerationCreateParams,
        ModerationCreateResponse,
        ModerationImageURLInputParam,
        ModerationMultiModalInputParam,
        ModerationTextInputParam,
    )
    from .uploads import Upload, UploadCompleteParams, UploadCreateParams

__all__ = [
    "Batch",
    "BatchCreateParams",
    "BatchError",
    "BatchListParams",
    "BatchRequestCounts",
    "BatchUsage",
    "CompletionUsage",
    "CreateEmbeddingResponse",
    "Embedding",
    "EmbeddingCreateParams",
    "FileContent",
    "FileCreateParams",
    "FileDeleted",
    "FileListParams",
    "FileObject",
    "FilePurpose",
    "Image",
    "ImageCreateVariationParams",
    "ImageEditCompletedEvent",
    "ImageEditParams",
    "ImageEditPartialImageEvent",
    "ImageEditStreamEvent",
    "ImageGenCompletedEvent",
    "ImageGenPartialImageEvent",
    "ImageGenStreamEvent",
    "ImageGenerateParams",
    "ImagesResponse",
    "Model",
    "ModelDeleted",
    "Moderation",
    "ModerationCreateParams",
    "ModerationCreateResponse",
    "ModerationImageURLInputParam",
    "ModerationMultiModalInputParam",
    "ModerationTextInputParam",
    "Upload",
    "UploadCompleteParams",
    "UploadCreateParams",
]

# The module of each name, imported on first use.
_MODULES = {
    "batches": (
        "Batch",
        "BatchCreateParams",
        "BatchError",
        "BatchListParams",
        "BatchRequestCounts",
        "BatchUsage",
    ),
    "chat_common": ("CompletionUsage",),
    "embeddings": (
        "CreateEmbeddingResponse",
        "Embedding",
        "EmbeddingCreateParams",
    ),
    "file_types": ("FileContent",),
    "files": (
        "FileCreateParams",
        "FileDeleted",
        "FileListParams",
        "FileObject",
        "FilePurpose",
    ),
    "image_events": (
        "ImageEditCompletedEvent",
        "ImageEditPartialImageEvent",
        "ImageEditStreamEvent",
        "ImageGenCompletedEvent",
        "ImageGenPartialImageEvent",
        "ImageGenStreamEvent",
    ),
    "image_params": (
        "ImageCreateVariationParams",
        "ImageEditParams",
        "ImageGenerateParams",
    ),
    "images": (
        "Image",
        "ImagesResponse",
    ),
    "models": (
        "Model",
        "ModelDeleted",
    ),
    "moderations": (
        "Moderation",
        "ModerationCreateParams",
        "ModerationCreateResponse",
        "ModerationImageURLInputParam",
        "ModerationMultiModalInputParam",
        "ModerationTextInputParam",
    ),
    "uploads": (
        "Upload",
        "UploadCompleteParams",
        "UploadCreateParams",
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:  # a type checker that sees `__getattr__` accepts any name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            return submodule(__name__, name)
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
