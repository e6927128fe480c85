"""Downloading a picture: the URL is requested exactly as spelled, without the key if possible."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from yarl import URL

from .._unix_sockets import UNIX, join_url
from ..errors import (
    APIResponseValidationError,
    APIStatusError,
    AuthenticationError,
    PermissionDeniedError,
)
from ..images.data import checked
from ..options import APIKey
from .request import Response
from .urls import as_spelled, same_origin

Get = Callable[[URL, APIKey | None], Awaitable[Response]]
"""Sends a GET, with the given key or without one."""


async def download(url: str, get: Get, *, base_url: URL, api_key: APIKey) -> bytes:
    """The bytes of a picture.

    The key is sent only after a 401 or 403 without it, and only to the origin of `base_url`:
    LocalAI protects generated pictures like the rest of its API.

    Raises:
        APIStatusError: the server answered with an error.
        APIConnectionError: there was no complete answer.
        APIResponseValidationError: `url` is not an http(s) URL, or the content is not a picture.
    """
    target = _parsed(url)
    if base_url.scheme == UNIX:
        target = join_url(base_url, target)
    response = None
    try:
        response = await get(target, None)
    except (AuthenticationError, PermissionDeniedError):
        if not same_origin(target, base_url) or target.user is not None:
            raise
    if response is None:
        response = await _with_key(target, get, api_key)
    return checked(response.body, "The picture's url", response.secret)


async def _with_key(target: URL, get: Get, api_key: APIKey) -> Response:
    """Send the key within the origin; a redirect to another origin is followed without it."""
    try:
        return await get(target, api_key)
    except APIStatusError as error:
        elsewhere = error.headers.get("Location") if error.headers else None
        if not 300 <= error.status_code < 400 or not elsewhere:
            raise
    return await get(_parsed(elsewhere, target), None)


def _parsed(url: str, base: URL | None = None) -> URL:
    try:
        target = as_spelled(url.strip())
        target = target if base is None else base.join(target)
        good = target.scheme in ("http", "https") and bool(target.host)
    except ValueError:
        good = False
    if not good:
        msg = f"The picture's url is not an http(s) URL: {url[:80]!r}."
        raise APIResponseValidationError(msg)
    return target
