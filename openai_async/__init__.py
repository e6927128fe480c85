"""An asyncio-first SDK for the OpenAI API and every server that speaks it.

from openai_async import AsyncClient

async with AsyncClient() as client:
    result = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]
    )
    print(result.text)

PYTEST_DONT_REWRITE: pytest loads the plugin in `testing`, perhaps after this has been imported.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from ._submodules import submodule
from ._version import __version__

if TYPE_CHECKING:
    from .client import AsyncClient, AsyncOpenAI
    from .content_parts import audio_part, file_part
    from .conversation import Conversation
    from .conversation_stream import ConversationStream
    from .errors import (
        APIConnectionError,
        APIError,
        APIResponseValidationError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ConflictError,
        ContentFilterFinishReasonError,
        InsufficientQuotaError,
        InternalServerError,
        InvalidArgumentError,
        LengthFinishReasonError,
        NotFoundError,
        OpenAIError,
        PermissionDeniedError,
        RateLimitError,
        StreamInterruptedError,
        ToolRoundsExceededError,
        UnprocessableEntityError,
    )
    from .hooks import Hooks, RetryDetails, StreamEnd
    from .http.request import Request, Response
    from .middleware import Middleware, Send
    from .middleware.pacing.token_estimate import estimate_tokens
    from .options import RateLimit, RetryPolicy, Timeout
    from .resources.tool_runs import ToolRun
    from .sentinels import NOT_GIVEN, NotGiven, Omit, not_given, omit
    from .streaming.base import AsyncStream
    from .streaming.chat import ChatCompletionStream
    from .streaming.events import ChatCompletionEventStream
    from .streaming.parsed import ParsedChatCompletionStream
    from .streaming.raw import ResponseStream
    from .structured.tools import Tool, tool
    from .types.upload_progress import UploadProgress
    from .vision import image_part

__all__ = [
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncClient",
    "AsyncOpenAI",
    "AsyncStream",
    "AuthenticationError",
    "BadRequestError",
    "ChatCompletionEventStream",
    "ChatCompletionStream",
    "ConflictError",
    "ContentFilterFinishReasonError",
    "Conversation",
    "ConversationStream",
    "Hooks",
    "InsufficientQuotaError",
    "InternalServerError",
    "InvalidArgumentError",
    "LengthFinishReasonError",
    "Middleware",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "OpenAIError",
    "ParsedChatCompletionStream",
    "PermissionDeniedError",
    "RateLimit",
    "RateLimitError",
    "Request",
    "Response",
    "ResponseStream",
    "RetryDetails",
    "RetryPolicy",
    "Send",
    "StreamEnd",
    "StreamInterruptedError",
    "Timeout",
    "Tool",
    "ToolRoundsExceededError",
    "ToolRun",
    "UnprocessableEntityError",
    "UploadProgress",
    "__version__",
    "audio_part",
    "estimate_tokens",
    "file_part",
    "image_part",
    "not_given",
    "omit",
    "tool",
]

if os.environ.get("OPENAI_LOG"):
    import_module("._log_setup", __name__).show_log(os.environ["OPENAI_LOG"])

# The module of each name, imported on first use (PEP 562). Importing any submodule runs this file
# first, and `openai-async --help` has no use for aiohttp and cattrs: without them it takes 140 ms
# of CPU time, with them it took 355 ms (CPython 3.11). tests/test_public_names.py keeps this table,
# the imports above and `__all__` in step.
_MODULES = {
    "streaming.chat": ("ChatCompletionStream",),
    "streaming.events": ("ChatCompletionEventStream",),
    "client": ("AsyncClient", "AsyncOpenAI"),
    "conversation": ("Conversation",),
    "conversation_stream": ("ConversationStream",),
    "content_parts": ("audio_part", "file_part"),
    "errors": (
        "APIConnectionError",
        "APIError",
        "APIResponseValidationError",
        "APIStatusError",
        "APITimeoutError",
        "AuthenticationError",
        "BadRequestError",
        "ConflictError",
        "ContentFilterFinishReasonError",
        "InsufficientQuotaError",
        "InternalServerError",
        "InvalidArgumentError",
        "LengthFinishReasonError",
        "NotFoundError",
        "OpenAIError",
        "PermissionDeniedError",
        "RateLimitError",
        "StreamInterruptedError",
        "ToolRoundsExceededError",
        "UnprocessableEntityError",
    ),
    "middleware": ("Middleware", "Send"),
    "middleware.pacing.token_estimate": ("estimate_tokens",),
    "options": ("RateLimit", "RetryPolicy", "Timeout"),
    "hooks": ("Hooks", "RetryDetails", "StreamEnd"),
    "http.request": ("Request", "Response"),
    "resources.tool_runs": ("ToolRun",),
    "sentinels": ("NOT_GIVEN", "NotGiven", "Omit", "not_given", "omit"),
    "streaming.base": ("AsyncStream",),
    "streaming.parsed": ("ParsedChatCompletionStream",),
    "streaming.raw": ("ResponseStream",),
    "types.upload_progress": ("UploadProgress",),
    "structured.tools": ("Tool", "tool"),
    "vision": ("image_part",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:  # a type checker that sees `__getattr__` accepts any name

    def __getattr__(name: str) -> object:
        """Import a public name or a module on first use, and cache it."""
        if name not in _HOMES:
            return submodule(__name__, name)
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
