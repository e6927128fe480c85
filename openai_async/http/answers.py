"""Reading a whole answer: a body up to a size limit, or an error."""

from __future__ import annotations

import asyncio
import io
from contextlib import suppress

from ..errors import APIConnectionError, APIError, APIResponseValidationError
from ..wire.codec import body_or_text
from ..wire.failures import status_error
from ..wire.redaction import redacted, without_secret
from .aiohttp_internals import Answer, take_buffered
from .body import ERROR_BODY_TIMEOUT, MAX_ERROR_BODY, ByteStream
from .open_streams import OpenStreams
from .urls import server_of


async def read_body(answer: Answer, limit: int, open_streams: OpenStreams[ByteStream]) -> bytes:
    """The whole body.

    Raises:
        APIResponseValidationError: it is larger than `limit` bytes.
    """
    if answer.content.is_eof():
        # A small body arrives together with the headers. It needs no stream that watches for
        # silence, which saves 8 % of a chat request.
        data = take_buffered(answer.content)
        if len(data) > limit:
            raise _too_large(answer, limit)
        return data
    body = ByteStream(answer, None, None, open_streams)
    # One buffer for all pieces: a list of them and their sum would take twice the memory.
    whole = io.BytesIO()
    try:
        while part := await body.read():
            if whole.tell() + len(part) > limit:
                raise _too_large(answer, limit)
            whole.write(part)
    except BaseException:
        body.abort()
        raise
    body.release()
    return whole.getvalue()


def _too_large(answer: Answer, limit: int) -> APIResponseValidationError:
    msg = f"The answer from {server_of(answer.url)} is larger than {limit} bytes."
    return APIResponseValidationError(msg, status_code=answer.status)


async def read_failure(
    answer: Answer,
    open_streams: OpenStreams[ByteStream],
    secret: str | None,
    *,
    picture: bool,
) -> APIError:
    """The exception for an answer with a status of 300 or above; the answer is closed."""
    body = ByteStream(answer, None, None, open_streams)
    data = b""
    # The status matters most: if the body stalls or is truncated, report what has arrived.
    with suppress(TimeoutError, APIConnectionError):
        async with asyncio.timeout(ERROR_BODY_TIMEOUT):
            while len(data) < MAX_ERROR_BODY and (part := await body.read()):
                data += part
    if answer.content.at_eof():
        body.release()
    else:
        body.abort()
    said = redacted(body_or_text(data), secret)
    headers = without_secret(answer.headers, secret)
    return status_error(answer.status, headers, said, picture=picture)
