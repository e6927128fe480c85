"""`AsyncClient`: options in, resources out.

A client is its options, a chain of middlewares, and a transport that it shares with the copies
made by `with_options`.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

import aiohttp
from multidict import CIMultiDict
from typing_extensions import TypedDict
from yarl import URL

from ._unix_sockets import UNIX
from .errors import InvalidArgumentError
from .hooks import Hooks
from .http.headers import (
    change_headers,
    check_headers,
    find_header_value,
)
from .http.outgoing import Prepared
from .http.transport import SSL, Transport
from .http.urls import Urls, query_values
from .middleware import Middleware, chain
from .middleware.accounts import Account, ByAccount, account_of
from .middleware.chain import checked
from .middleware.logged import logged
from .middleware.observing import observers
from .middleware.retry import Retry
from .official_options import missing_attribute, refuse_official_options
from .options import (
    APIKey,
    RateLimit,
    RetryPolicy,
    Timeout,
    check_retries,
    find_api_key,
    find_base_url,
    is_loopback,
)
from .resources.base_client import ACCEPT, USER_AGENT, Resource
from .resources.chat import Beta, Chat
from .resources.client_responses import ClientResponses
from .resources.endpoint import check_known
from .resources.raw import RawRequests
from .resources.response_methods import Raw, Streaming
from .sentinels import Omit, left_out
from .types.base import APIResponse
from .wire.redaction import (
    MIN_SECRET,
    secret_of,
)

if TYPE_CHECKING:
    from .middleware.pacing import Pacing
    from .resources.batches import Batches
    from .resources.embeddings import Embeddings
    from .resources.files import Files
    from .resources.images import Images
    from .resources.models import Models
    from .resources.moderations import Moderations
    from .resources.uploads import Uploads
    from .types.rate_limits import ModelPace

R = TypeVar("R", bound=APIResponse)


class ClientOptions(TypedDict, total=False, closed=True):
    """What `with_options` can change: everything but the options of the shared connection pool."""

    api_key: APIKey | None
    base_url: str | URL | None
    organization: str | None
    project: str | None
    timeout: Timeout | float | None
    max_retries: int
    retry: RetryPolicy
    rate_limit: RateLimit | Middleware | None
    default_headers: Mapping[str, str | Omit | None] | None
    default_query: Mapping[str, str | int | float | bool | Omit] | None
    middlewares: Sequence[Middleware]
    hooks: Hooks | Sequence[Hooks] | None


_CHANGEABLE = frozenset(ClientOptions.__annotations__)


class AsyncClient(RawRequests):
    """The OpenAI API, or any server that speaks it.

    Creating a client does no I/O and needs no running event loop, so it can be a module-level
    variable. Connections are pooled per event loop and process: the same client works in a second
    `asyncio.run`, in the loops of several threads, and in a forked child.

    Args:
        api_key: the key, or a function that returns it and is called before each attempt: a plain
            one in a thread, since it may block, an async one on the event loop. The time it takes
            counts towards `timeout`. Defaults to `OPENAI_API_KEY`.
        base_url: the API's URL, with scheme and version, like "http://localhost:8000/v1", or with
            the percent-encoded path of a Unix socket, "http+unix://%2Frun%2Fserver.sock/v1";
            defaults to `OPENAI_BASE_URL`, then to OpenAI's. A `UserWarning` is issued once if a key
            of 8 characters or more would go to another machine over plain http.
        organization, project: ids, for accounts with more than one; default to `OPENAI_ORG_ID` and
            `OPENAI_PROJECT_ID`.
        timeout: a `Timeout`, or a number of seconds for its `total`. `None` waits forever.
        max_retries: how many times a failed request is sent again.
        retry: how the retries are spaced.
        rate_limit: a `RateLimit`, to send no faster than the server allows; or your own middleware
            that does this, for limits that several processes share. Every attempt goes through it.
            The time spent waiting there does not count towards `timeout`.
        max_connections: how many requests may be in flight at once, per event loop; the others wait
            for a slot, and no timeout applies while they do.
        default_headers, default_query: sent with every request. A header set to `None` is not
            sent: with `{"Authorization": None}` no request carries a key, unless the call passes
            one in its `extra_headers`. A client with an Authorization header needs no `api_key`.
        proxy: URL of an HTTP proxy, for all requests.
        trust_env: if `proxy` is not passed, use the proxies of the environment: HTTPS_PROXY,
            HTTP_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case, as they are when the client
            is created.
        ssl: an `ssl.SSLContext`, an `aiohttp.Fingerprint`, or `False` to skip verification.
        middlewares: see `openai_async.middleware`; the first is the outermost.
        hooks: functions to call when requests begin and end: `Hooks`, or a list of them.
        session: your own `aiohttp.ClientSession` to send through. The client never closes it.
        http_client, webhook_secret, websocket_base_url, _strict_response_validation: options of
            the official client that have no meaning here; only `None` is accepted.

    Raises:
        InvalidArgumentError: an option is wrong, or there is no API key.
    """

    def __init__(
        self,
        *,
        api_key: APIKey | None = None,
        base_url: str | URL | None = None,
        organization: str | None = None,
        project: str | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 - frozen
        max_retries: int = 2,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        rate_limit: RateLimit | Middleware | None = None,
        max_connections: int = 1000,
        default_headers: Mapping[str, str | Omit | None] | None = None,
        default_query: Mapping[str, str | int | float | bool | Omit] | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl: SSL | None = None,
        middlewares: Sequence[Middleware] = (),
        hooks: Hooks | Sequence[Hooks] | None = None,
        session: aiohttp.ClientSession | None = None,
        http_client: None = None,
        webhook_secret: None = None,
        websocket_base_url: None = None,
        _strict_response_validation: Literal[False] | None = None,
    ) -> None:
        refuse_official_options(
            http_client=http_client,
            webhook_secret=webhook_secret,
            websocket_base_url=websocket_base_url,
            _strict_response_validation=_strict_response_validation,
        )
        # The options that copies cannot change; kept for pickling.
        self._fixed: Any = {
            "max_connections": max_connections,
            "proxy": proxy,
            "trust_env": trust_env,
            "ssl": ssl,
        }
        self._transport = Transport(**self._fixed, session=session)
        self._waits = self._transport.waits
        self._retries: ByAccount[Retry, RetryPolicy] | None = None
        self._pacings: ByAccount[Pacing, RateLimit] | None = None
        self._pacing: Pacing | None = None
        self._usage_standings = {}  # shared with copies
        options: Any = {
            "api_key": api_key,
            "base_url": base_url,
            "organization": organization,
            "project": project,
            "timeout": timeout,
            "max_retries": max_retries,
            "retry": retry,
            "rate_limit": rate_limit,
            "default_headers": default_headers,
            "default_query": default_query,
            "middlewares": middlewares,
            "hooks": hooks,
        }
        self._configure(_passed(options))

    def _configure(self, options: ClientOptions) -> None:
        """Check the options and prepare what every request needs from them."""
        defaults = check_headers(options["default_headers"] or {})
        authorized = any(name.lower() == "authorization" for name in defaults)
        self.api_key = find_api_key(options["api_key"], needed=not authorized)
        self.base_url = find_base_url(options["base_url"])
        if self.base_url.scheme == UNIX and not self._transport.owns_sessions:
            msg = "session= cannot be used with a Unix socket as base_url: leave it out."
            raise InvalidArgumentError(msg)
        self.timeout = Timeout.of(options["timeout"])
        self.max_retries = check_retries(options["max_retries"])
        # Resolved now: a copy must not read environment variables that have changed since.
        self._options: ClientOptions = {
            **options,
            "api_key": self.api_key,
            "base_url": self.base_url,
        }
        self._headers = CIMultiDict({"User-Agent": USER_AGENT, "Accept": ACCEPT})
        organization = find_header_value(
            "OpenAI-Organization", options["organization"], "OPENAI_ORG_ID"
        )
        project = find_header_value("OpenAI-Project", options["project"], "OPENAI_PROJECT_ID")
        if organization:
            self._headers["OpenAI-Organization"] = organization
        if project:
            self._headers["OpenAI-Project"] = project
        self._options["organization"], self._options["project"] = organization, project
        self._removed = change_headers(self._headers, frozenset(), defaults)
        json_headers = self._headers.copy()
        if "content-type" not in self._removed:
            json_headers["Content-Type"] = "application/json"
        self._prepared = Prepared(self._headers, self._removed, self.api_key)
        self._json_prepared = Prepared(json_headers, self._removed, self.api_key)
        self._warn_of_plain_http()
        self._urls = Urls(self.base_url, query_values(options["default_query"]))
        retry, middlewares = options["retry"], options["middlewares"]
        if not isinstance(retry, RetryPolicy):
            msg = f"retry has type {type(retry).__name__}: pass a RetryPolicy."
            raise InvalidArgumentError(msg)
        if not isinstance(middlewares, Sequence) or not all(map(callable, middlewares)):
            msg = "middlewares is not a list of functions: pass [middleware, ...]."
            raise InvalidArgumentError(msg)
        self.retry = retry
        # Copies with the same policy share the retry budget of each account.
        if self._retries is None or self._retries.option is not retry:
            self._retries = ByAccount(partial(Retry, waits=self._transport.waits), retry)
        account = account_of(self.base_url, self.api_key, self._headers)
        self.rate_limit = options["rate_limit"]
        self.middlewares = middlewares
        self._send = logged(
            chain(
                [
                    *observers(options["hooks"]),
                    *map(checked, middlewares),
                    self._retries.of(account),
                    *self._pacer(account),
                ],
                self._transport.send,
            )
        )

    def _pacer(self, account: Account) -> list[Middleware]:
        """The middleware that paces requests, if any. Copies with the same `RateLimit` and account
        share it.
        """
        limit = self.rate_limit
        if not isinstance(limit, RateLimit):
            self._pacing = None
            if limit is not None and (not callable(limit) or isinstance(limit, type)):
                msg = f"rate_limit has type {type(limit).__name__}: pass a RateLimit."
                raise InvalidArgumentError(msg)
            return [] if limit is None else [checked(limit)]
        if self._pacings is None or self._pacings.option is not limit:
            from .middleware.pacing import Pacing  # not every program needs it

            self._pacings = ByAccount(partial(Pacing, waits=self._transport.waits), limit)
        self._pacing = self._pacings.of(account)
        return [self._pacing]

    @property
    def rate_limits(self) -> dict[str, ModelPace]:
        """What is known about the rate limits of each model that has been used, on this client's
        server and for its account; empty without `rate_limit`.
        """
        return {} if self._pacing is None else self._pacing.snapshot()

    def _warn_of_plain_http(self) -> None:
        """Warn once if a real key, not a placeholder, would be sent in clear text."""
        sends_key = "Authorization" not in self._headers and "authorization" not in self._removed
        secret = sends_key and (callable(self.api_key) or len(self.api_key) >= MIN_SECRET)
        if (
            (secret or secret_of(self._headers) is not None)
            and self.base_url.scheme == "http"
            and not is_loopback(self.base_url.host or "")
            and not self._transport.warned_of_plain_http
        ):
            self._transport.warned_of_plain_http = True
            msg = f"The API key goes to {self.base_url.origin()} unencrypted: use https."
            warnings.warn(msg, UserWarning, stacklevel=4)

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """A copy with different options and the same connections: cheap enough for every request.

        Copies for the same server and account (API key, organization and project) also share the
        retry budget and what is known about rate limits; copies for a different one do not.

        Closing either client closes the connections of both.

        Example::

            patient = client.with_options(timeout=3600, max_retries=10)
        """
        check_known("with_options", changes, _CHANGEABLE)
        copied = copy.copy(self)
        copied._configure({**self._options, **changes})
        return copied

    copy = with_options

    # --- resources ---
    # Created on access, so that they do not form a reference cycle with the client. Those that not
    # every program needs are imported then too: their types take a sixth of the import time.

    @property
    def models(self) -> Models:
        """List, retrieve and delete models."""
        from .resources.models import Models

        return Models(self)

    @property
    def chat(self) -> Chat:
        """`client.chat.completions.create(...)`"""
        return Chat(self)

    @property
    def beta(self) -> Beta:
        """`client.beta.chat` is `client.chat`, as in the official SDK."""
        return Beta(self)

    @property
    def images(self) -> Images:
        """Generate images."""
        from .resources.images import Images

        return Images(self)

    @property
    def embeddings(self) -> Embeddings:
        """Turn texts into vectors."""
        from .resources.embeddings import Embeddings

        return Embeddings(self)

    @property
    def moderations(self) -> Moderations:
        """Find harmful texts and pictures."""
        from .resources.moderations import Moderations

        return Moderations(self)

    @property
    def files(self) -> Files:
        """Upload files, list them and read them."""
        from .resources.files import Files

        return Files(self)

    @property
    def uploads(self) -> Uploads:
        """Upload large files in parts."""
        from .resources.uploads import Uploads

        return Uploads(self)

    @property
    def batches(self) -> Batches:
        """Jobs that the provider runs within a day, for half the price.

        `openai_async.batch.run_batch` sends the requests of a file itself.
        """
        from .resources.batches import Batches

        return Batches(self)

    @property
    def with_raw_response(self) -> ClientResponses[Raw]:
        """The same resources, with methods that return a `RawResponse`."""
        return ClientResponses(Resource(self), Raw)

    @property
    def with_streaming_response(self) -> ClientResponses[Streaming]:
        """The same resources, with methods for `async with`, which gives a `StreamingResponse`."""
        return ClientResponses(Resource(self), Streaming)

    async def close(self) -> None:
        """Close the connections. Calls in flight or waiting fail; closing twice is fine."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    # --- in a web app ---

    async def cleanup_ctx(self, app: object) -> AsyncIterator[None]:
        """Closes the client when an aiohttp app shuts down, after its last response: answers under
        way can finish within the app's `shutdown_timeout`.

        Example::

            app.cleanup_ctx.append(client.cleanup_ctx)
        """
        async with self:
            yield

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """The same for Starlette, FastAPI and other frameworks with a lifespan.

        Example::

            app = FastAPI(lifespan=client.lifespan)
        """
        async with self:
            yield

    def __copy__(self) -> Self:
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The same options, with a pool of its own."""
        return self._anew()()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the options, API key included; the unpickled client has a pool of its own."""
        if isinstance(self._fixed["ssl"], SSLContext):
            msg = "A client with an SSLContext cannot be pickled: build one in the other process."
            raise InvalidArgumentError(msg)
        return self._anew(), ()

    def _anew(self) -> Callable[[], Self]:
        if not self._transport.owns_sessions:
            msg = "A client that uses your session cannot be pickled or deep-copied: build another."
            raise InvalidArgumentError(msg)
        return partial(type(self), **self._options, **self._fixed)

    if not TYPE_CHECKING:  # where it would stand for any attribute

        def __getattr__(self, name: str) -> Any:
            raise missing_attribute(self, name)

    def __repr__(self) -> str:
        state = " closed" if self._transport.closed else ""
        return f"<AsyncClient {self.base_url}{state}>"


def _passed(options: dict[str, Any]) -> Any:
    """The options of a new client; those that are `NOT_GIVEN` or `omit` have their defaults."""
    defaults = AsyncClient.__init__.__kwdefaults__ or {}
    return {**options, **{name: defaults[name] for name in left_out(options)}}


AsyncOpenAI = AsyncClient
"""The same class, under the name that it has in the official SDK."""
