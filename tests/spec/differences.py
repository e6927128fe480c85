"""Where the package and the table of OpenAI's API (openai.json) differ, and why.

tests/test_spec.py says which line to add here, and which is no longer needed.
"""

from __future__ import annotations

_LATER = "not supported yet; client.request sends it"

# What OpenAI's API has and the package has not: the reason.
LEFT_OUT: dict[str, str] = {
    "DELETE /chat/completions/{completion_id}": _LATER,
    "DELETE /files/{file_id}": _LATER,
    "GET /batches": _LATER,
    "GET /batches/{batch_id}": _LATER,
    "GET /chat/completions": _LATER,
    "GET /chat/completions/{completion_id}": _LATER,
    "GET /chat/completions/{completion_id}/messages": _LATER,
    "GET /files": _LATER,
    "GET /files/{file_id}": _LATER,
    "GET /files/{file_id}/content": _LATER,
    "POST /batches": _LATER,
    "POST /batches/{batch_id}/cancel": _LATER,
    "POST /chat/completions/{completion_id}": _LATER,
    "POST /files": _LATER,
    "POST /images/edits": _LATER,
    "POST /images/variations": _LATER,
    "POST /uploads": _LATER,
    "POST /uploads/{upload_id}/cancel": _LATER,
    "POST /uploads/{upload_id}/complete": _LATER,
    "POST /uploads/{upload_id}/parts": _LATER,
}

_WHEEL = "openai 3.57"
_OPEN = "text, so that a value that a new model adds passes the type checker"

# What the package has and the table has not: the source.
NEWER: dict[str, str] = {
    "ChatCompletionFunctions.strict": "shared with `tools`; `functions` is deprecated",
    "ChatCompletionMessageToolCallChunk.custom": "sent for the custom tools that the API has",
    'ChatCompletionRequestMessageContentPartImage.image_url.detail: "original"': _WHEEL,
    "CreateImageRequest.background: str": _OPEN,
    "CreateImageRequest.moderation: str": _OPEN,
    "CreateImageRequest.output_format: str": _OPEN,
    'CreateImageRequest.quality: "max"': _WHEEL,
    'CreateImageRequest.quality: "xhigh"': _WHEEL,
    "CreateImageRequest.quality: str": _OPEN,
    "CreateModerationRequest.input.image_url.detail": "what image_part returns may have it",
    "ImagesUsage.output_tokens_details": _WHEEL,
}
