"""An asyncio-first SDK for the OpenAI API and every server that speaks it.

from openai_async import AsyncClient

async with AsyncClient() as client:
    result = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]
    )
    print(result.text)
"""

from ._version import __version__
from .chat_stream import ChatCompletionStream
from .client import AsyncClient
from .errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InsufficientQuotaError,
    InternalServerError,
    InvalidArgumentError,
    NotFoundError,
    OpenAIError,
    PermissionDeniedError,
    RateLimitError,
    StreamInterruptedError,
    UnprocessableEntityError,
)
from .middleware import Middleware, Send
from .options import RetryPolicy, Timeout
from .request import Request, Response
from .stream import AsyncStream
from .vision import image_part

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncClient",
    "AsyncStream",
    "AuthenticationError",
    "BadRequestError",
    "ChatCompletionStream",
    "ConflictError",
    "InsufficientQuotaError",
    "InternalServerError",
    "InvalidArgumentError",
    "Middleware",
    "NotFoundError",
    "OpenAIError",
    "PermissionDeniedError",
    "RateLimitError",
    "Request",
    "Response",
    "RetryPolicy",
    "Send",
    "StreamInterruptedError",
    "Timeout",
    "UnprocessableEntityError",
    "__version__",
    "image_part",
]
