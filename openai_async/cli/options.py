"""The options that choose the server, shared by all commands, and the client they make."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

from attrs import frozen
from cyclopts import Group, Parameter, validators

import openai_async

from .errors import CommandError, UsageError

# The defaults: small, and not to be retired soon
# (https://developers.openai.com/api/docs/deprecations).
CHAT_MODEL = "gpt-5.4-mini"
IMAGE_MODEL = "gpt-image-2"

# The built-in server accepts any key; a real one must not be sent there.
LOCAL_KEY = "local"


@Parameter(name="*", group=Group("Server", sort_key=1))
@frozen(kw_only=True)
class Connection:
    """The server, the key and the timeout."""

    local: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Use the built-in server: no key, no network."
        ),
    ] = False
    base_url: Annotated[
        str | None,
        Parameter(help="Use another server, such as http://localhost:8000/v1."),
    ] = None
    api_key: Annotated[
        str | None,
        Parameter(help="The API key. Set OPENAI_API_KEY instead: other users can see options."),
    ] = None
    timeout: Annotated[
        float | None,
        Parameter(
            validator=validators.Number(gt=0),
            help="Seconds to wait for an answer, or for the next piece of it.",
        ),
    ] = None


def check(connection: Connection) -> None:
    """Fail early, before anything is read, sent or started.

    Raises:
        UsageError: the options contradict each other.
        CommandError: there is no API key.
    """
    if connection.local and connection.base_url is not None:
        msg = "--local and --base-url name two servers: pass one of them."
        raise UsageError(msg)
    if not connection.local and connection.api_key is None and "OPENAI_API_KEY" not in os.environ:
        msg = (
            "No API key: run `export OPENAI_API_KEY=...` (any word for a server that needs none), "
            "or add --local to use the built-in server."
        )
        raise CommandError(msg)


@asynccontextmanager
async def connect(
    connection: Connection, **options: Any
) -> AsyncIterator[openai_async.AsyncClient]:
    """A client; with `--local`, the server too. `options` are further ones of the client."""
    check(connection)
    base_url, api_key = connection.base_url, connection.api_key
    async with AsyncExitStack() as stack:
        if connection.local:
            from ..testing import LocalServer

            server = await stack.enter_async_context(LocalServer())
            base_url, api_key = server.url, LOCAL_KEY
        client = openai_async.AsyncClient(
            base_url=base_url, api_key=api_key, timeout=_timeout(connection), **options
        )
        yield await stack.enter_async_context(client)


def _timeout(connection: Connection) -> openai_async.Timeout:
    defaults = openai_async.Timeout()
    seconds = connection.timeout
    if seconds is None:
        return defaults
    # One timeout for both: a whole answer, and the next piece of a stream.
    return openai_async.Timeout(
        total=seconds, connect=min(seconds, defaults.connect or seconds), idle=seconds
    )
