"""Where the package and the table of OpenAI's API (openai.json) differ, and why.

tests/test_spec.py says which line to add here, and which is no longer needed.
"""

from __future__ import annotations

# What OpenAI's API has and the package does not, with the reason.
LEFT_OUT: dict[str, str] = {
    "Batch.errors.object: None": "always 'list' where there are errors",
    "GET /files/{file_id}/content answer: str": "the content is bytes, whatever the reference says",
    "Upload.object: None": "always 'upload'",
}

_WHEEL = "openai 3.57"
_NULL = "None is not sent, so that a variable can be passed on"
_PATH = "the path of a file, as image_part takes it"
_REFERENCE = "the JSON form of the same request, EditImageBodyJsonParam, has it"
_OPEN = "text, so that a value that a new model adds passes the type checker"

# What the package has and the table does not, with the source.
NEWER: dict[str, str] = {
    "ChatCompletionFunctions.strict": "shared with `tools`; `functions` is deprecated",
    "ChatCompletionStreamResponseDelta.audio": "sent, in pieces of what a message has",
    "ChatCompletionMessageToolCallChunk.custom": "sent for the custom tools that the API has",
    'ChatCompletionRequestMessageContentPartImage.image_url.detail: "original"': _WHEEL,
    "CreateBatchRequest.completion_window: str": _OPEN,
    "CreateBatchRequest.endpoint: str": _OPEN,
    "CreateFileRequest.purpose: str": _OPEN,
    "CreateImageEditRequest.background: str": _OPEN,
    "CreateImageEditRequest.complexity": _WHEEL,
    "CreateImageEditRequest.frame_count": _WHEEL,
    "CreateImageEditRequest.frame_duration_ms": _WHEEL,
    "CreateImageEditRequest.image: dict": _REFERENCE,
    "CreateImageEditRequest.image: str": _PATH,
    "CreateImageEditRequest.image[]: dict": _REFERENCE,
    "CreateImageEditRequest.image[]: str": _PATH,
    "CreateImageEditRequest.markup": _WHEEL,
    "CreateImageEditRequest.mask: dict": _REFERENCE,
    "CreateImageEditRequest.mask: str": _PATH,
    "CreateImageEditRequest.moderation": _REFERENCE,
    'CreateImageEditRequest.output_format: "gif"': _WHEEL,
    'CreateImageEditRequest.output_format: "svg"': _WHEEL,
    "CreateImageEditRequest.output_format: str": _OPEN,
    'CreateImageEditRequest.quality: "hd"': "shared with `generate`",
    'CreateImageEditRequest.quality: "max"': _WHEEL,
    'CreateImageEditRequest.quality: "xhigh"': _WHEEL,
    "CreateImageEditRequest.quality: str": _OPEN,
    "CreateImageEditRequest.safety_identifier": _WHEEL,
    "CreateImageEditRequest.svg": _WHEEL,
    "CreateImageRequest.background: str": _OPEN,
    "CreateImageRequest.complexity": _WHEEL,
    "CreateImageRequest.frame_count": _WHEEL,
    "CreateImageRequest.frame_duration_ms": _WHEEL,
    "CreateImageRequest.moderation: str": _OPEN,
    'CreateImageRequest.output_format: "gif"': _WHEEL,
    'CreateImageRequest.output_format: "svg"': _WHEEL,
    "CreateImageRequest.output_format: str": _OPEN,
    'CreateImageRequest.quality: "max"': _WHEEL,
    'CreateImageRequest.quality: "xhigh"': _WHEEL,
    "CreateImageRequest.quality: str": _OPEN,
    "CreateImageRequest.safety_identifier": _WHEEL,
    "CreateImageRequest.svg": _WHEEL,
    "CreateImageVariationRequest.image: str": _PATH,
    "CreateImageVariationRequest.size: str": _OPEN,
    "CreateModerationRequest.input.image_url.detail": "what image_part returns may have it",
    'CreateUploadRequest.purpose: "evals"': "a purpose of files, which an upload becomes",
    'CreateUploadRequest.purpose: "user_data"': "a purpose of files, which an upload becomes",
    "CreateUploadRequest.purpose: str": _OPEN,
    "GET /batches?after: None": _NULL,
    "GET /batches?limit: None": _NULL,
    "GET /chat/completions/{completion_id}/messages?after: None": _NULL,
    "GET /chat/completions/{completion_id}/messages?limit: None": _NULL,
    "GET /chat/completions/{completion_id}/messages?order: None": _NULL,
    "GET /chat/completions?after: None": _NULL,
    "GET /chat/completions?limit: None": _NULL,
    "GET /chat/completions?model: None": _NULL,
    "GET /chat/completions?order: None": _NULL,
    "GET /files/{file_id}/content answer: bytes": "what a file holds is bytes",
    "GET /files?after: None": _NULL,
    "GET /files?limit: None": _NULL,
    "GET /files?order: None": _NULL,
    "GET /files?purpose: None": _NULL,
    "ImageEditCompletedEvent.safety_identifier": _WHEEL,
    "ImageGenCompletedEvent.safety_identifier": _WHEEL,
    "ImagesResponse.safety_identifier": _WHEEL,
    "ImagesResponse.svg_usage": _WHEEL,
    "ImagesUsage.output_tokens_details": _WHEEL,
}
