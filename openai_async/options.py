"""The options of a client: timeouts, retries, rate limits, and defaults from the environment.

Values are checked here, as soon as they are passed, so that no invalid value reaches a request.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Any, TypeAlias, TypeGuard

from attrs import Attribute, field, frozen
from typing_extensions import TypedDict
from yarl import URL

from ._unix_sockets import is_unix, unix_base_url
from .errors import InvalidArgumentError
from .sentinels import Omit

DEFAULT_BASE_URL = "https://api.openai.com/v1"

APIKey: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""The key itself, or a function that returns it, called before each attempt: a plain one in a
thread, an async one on the event loop."""


# Thirty years: a longer time is a mistake, and overflows the event loop's clock.
_MAX_SECONDS = 1e9


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: object, least: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_whole(name: str, value: object) -> None:
    """Raise `InvalidArgumentError` unless it is a whole number of 1 or more."""
    if not is_whole(value, 1):
        msg = f"{name} is {value!r}: pass a whole number of 1 or more."
        raise InvalidArgumentError(msg)


def check_bool(name: str, value: object) -> None:
    """Raise `InvalidArgumentError` unless it is `True` or `False`."""
    if not isinstance(value, bool):
        msg = f"{name} is {value!r}: pass True or False."
        raise InvalidArgumentError(msg)


def _is_seconds(value: object) -> bool:
    return is_number(value) and 0 < value <= _MAX_SECONDS


def _seconds(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A validator: a positive, finite number of seconds."""
    if not _is_seconds(value):
        msg = f"{attribute.name} is {value!r}: pass a positive number of seconds."
        raise InvalidArgumentError(msg)


def _seconds_or_none(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None:
        _seconds(instance, attribute, value)


def check_retries(value: int) -> int:
    """Return `max_retries` if it is a whole number, 0 or greater."""
    if not is_whole(value, 0):
        msg = f"max_retries is {value!r}: pass a whole number, 0 for no retries."
        raise InvalidArgumentError(msg)
    return value


@frozen(kw_only=True, repr=False)
class Timeout:
    """How long to wait, in seconds. `None` waits forever (but see `first`).

    Attributes:
        total: for one attempt of a plain call, body included; for a stream, until its headers.
        connect: for DNS, TCP and TLS together. Waiting for a free connection does not count.
        idle: for more bytes of a stream, comment lines included. The total duration of a stream
            is not limited.
        first: for the first chunk of a stream, from the moment the request is sent; comment lines
            do not count, and `idle` applies only after it. `None` leaves that wait to `total` and
            `idle`.
    """

    total: float | None = field(default=600.0, validator=_seconds_or_none)
    connect: float | None = field(default=10.0, validator=_seconds_or_none)
    idle: float | None = field(default=300.0, validator=_seconds_or_none)
    first: float | None = field(default=None, validator=_seconds_or_none)

    def __repr__(self) -> str:
        first = "" if self.first is None else f", first={self.first!r}"
        return f"Timeout(total={self.total!r}, connect={self.connect!r}, idle={self.idle!r}{first})"

    @classmethod
    def of(cls, value: Timeout | float | None) -> Timeout:
        """A `Timeout` from what a user may pass: a number is `total`; `None` means no limit."""
        if isinstance(value, Timeout):
            return value
        if value is None:
            return cls(total=None, connect=None, idle=None)
        if not _is_seconds(value):
            msg = (
                f"timeout is {value!r}: pass a positive number of seconds, or an "
                "openai_async.Timeout(total=..., connect=..., idle=...)."
            )
            raise InvalidArgumentError(msg)
        return cls(total=value)


@frozen(kw_only=True)
class RetryPolicy:
    """How retries are spaced. Their number is set by `max_retries`, on the client or the call.

    Unless the server says how long to wait, the wait before retry n is random, between 0 and
    `min(max_delay, initial_delay * 2 ** n)`: "full jitter", which spreads out many tasks that
    failed together better than any fixed factor (AWS Architecture Blog, "Exponential Backoff
    And Jitter").

    Attributes:
        initial_delay: upper bound of the first wait, in seconds.
        max_delay: upper bound of every wait that the server did not ask for, in seconds.
        max_retry_after: the longest wait a server may ask for, in seconds; if it asks for more,
            the error is raised at once, with `.retry_after` set.
        budget: tokens in the bucket that all calls of a client share. A retry costs 5, or 10 after
            a timeout; a call that succeeds gives back what its last retry cost, or 1. At 0 there
            are no retries. The numbers 500, 5, 10 and 1 are those of the AWS SDKs' standard retry
            mode.
    """

    initial_delay: float = field(default=0.5, validator=_seconds)
    max_delay: float = field(default=8.0, validator=_seconds)
    max_retry_after: float = field(default=60.0, validator=_seconds)
    budget: int = field(default=500)

    @budget.validator  # pyright: ignore[reportAttributeAccessIssue]
    def _check_budget(self, attribute: Attribute[int], value: object) -> None:
        if not is_whole(value, 0):
            msg = f"budget is {value!r}: pass a whole number of tokens, 0 for no retries at all."
            raise InvalidArgumentError(msg)


def _per_minute(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A validator: `None`, or a positive, finite number."""
    if value is not None and not (is_number(value) and 0 < value < inf):
        msg = f"{attribute.name} is {value!r}: pass a positive number, or None for no limit."
        raise InvalidArgumentError(msg)


@frozen(kw_only=True)
class RateLimit:
    """How fast to send: requests wait in the client instead of being rejected with 429.

    Each model has its own limits, in requests and in tokens. A client without a `RateLimit` sends
    at once; `RateLimit()` sets no limit of its own and learns the server's.

    Attributes:
        requests_per_minute, tokens_per_minute: never exceeded. `None` means no limit.
        adaptive: learn from the server's `x-ratelimit-*` headers, `retry-after` and 429s.
        estimate_tokens: a function that estimates how many tokens a request will use, answer
            included, from its parameters (what `create` was called with). The built-in one counts
            characters and pixels. The `usage` of the response corrects either estimate afterwards.
            It runs on the event loop.

    https://platform.openai.com/docs/guides/rate-limits
    """

    requests_per_minute: float | None = field(default=None, validator=_per_minute)
    tokens_per_minute: float | None = field(default=None, validator=_per_minute)
    adaptive: bool = field(default=True)
    estimate_tokens: Callable[[Mapping[str, Any]], float] | None = field(default=None)

    @adaptive.validator  # pyright: ignore[reportAttributeAccessIssue]
    def _check_adaptive(self, attribute: Attribute[bool], value: object) -> None:
        check_bool("adaptive", value)

    @estimate_tokens.validator  # pyright: ignore[reportFunctionMemberAccess, reportOptionalMemberAccess]
    def _check_estimate(self, attribute: Attribute[Any], value: object) -> None:
        if value is not None and not callable(value):
            msg = f"estimate_tokens is {value!r}: pass a function of the request's parameters."
            raise InvalidArgumentError(msg)


class BaseRequestOptions(TypedDict, total=False):
    """The options that every call takes; the parameters of each API extend them."""

    extra_headers: Mapping[str, str | Omit | None] | None
    """`None` removes a header, including one from `default_headers` or set by the client itself."""
    extra_query: Mapping[str, str | int | float | bool | Omit] | None
    extra_body: Mapping[str, object] | None
    """Merged into the JSON body last: for parameters that only some servers have."""
    timeout: Timeout | float | None
    max_retries: int


class RequestOptions(BaseRequestOptions, total=False, closed=True):
    """The options of a call that has no other parameters.

    The parameters of every method are closed, which lets type checkers report an unknown keyword.
    A closed TypedDict (PEP 728, part of `typing` from Python 3.15) cannot be extended.
    """


REQUEST_OPTIONS = frozenset(RequestOptions.__annotations__)


def find_api_key(api_key: APIKey | None, *, needed: bool) -> APIKey:
    """The key that was passed, or `OPENAI_API_KEY`, checked; "" if none is set or needed."""
    if api_key is None:
        api_key = os.environ.get("OPENAI_API_KEY")
    if not api_key and not needed:
        return ""
    if api_key is None:
        msg = (
            "No API key: set OPENAI_API_KEY or pass api_key=... (a server that needs none accepts "
            'any word; default_headers={"Authorization": None} sends no key at all).'
        )
        raise InvalidArgumentError(msg)
    return api_key if callable(api_key) else check_api_key(api_key)


# What people copy along with a key by mistake, and what to do about it.
_AROUND_KEYS = (
    (r"bearer(\s.*)?", 'begins with "Bearer": leave that out, as it is added automatically'),
    (
        r"((export\s+)?\w+_key\s*=|authorization\s*:).*",
        "begins with the name of a variable or header: pass the key alone",
    ),
    (r"""(["'`]).*\1""", "is in quotes: leave them out (Docker keeps the quotes in an --env-file)"),
)
_DASHES = str.maketrans("-_.", "000")


def check_api_key(key: object) -> str:
    """Return the key if it can be sent in a header: one line, not empty, printable ASCII.

    Spaces inside it are fine: people pass "not needed" to servers that check no key.
    """
    if not isinstance(key, str):
        msg = (
            f"api_key has type {type(key).__name__}: pass a string, or a function that returns one."
        )
        raise InvalidArgumentError(msg)
    if not key.strip():
        msg = "The API key is empty: set OPENAI_API_KEY or pass api_key=..."
        raise InvalidArgumentError(msg)
    # Nearly all keys return here: compiling the patterns below takes longer than the rest of
    # making a client.
    if key.isascii() and key.translate(_DASHES).isalnum() and key.lower() != "bearer":
        return key
    for pattern, advice in _AROUND_KEYS:
        if re.fullmatch(pattern, key, re.IGNORECASE):
            raise InvalidArgumentError(f"The API key {advice}.")
    if not re.fullmatch(r"[\x20-\x7e]+", key) or key != key.strip():
        msg = (
            "The API key has a line break, a space at either end, or a character that is not "
            "printable ASCII: pass the key alone (for a key read from a file, .strip() it)."
        )
        raise InvalidArgumentError(msg)
    return key


def find_base_url(base_url: str | URL | None) -> URL:
    """The base URL that was passed, or `OPENAI_BASE_URL`, or OpenAI's; without a trailing slash."""
    text = str(base_url if base_url is not None else os.environ.get("OPENAI_BASE_URL") or "")
    text = (text.strip() if base_url is None else text) or (
        DEFAULT_BASE_URL if base_url is None else ""
    )
    if is_unix(text):
        return unix_base_url(text)
    try:
        url = URL(text)
        good = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        good = False
    if not good and not isinstance(base_url, str | URL | None):
        kind = type(base_url).__name__
        msg = f'base_url has type {kind}: pass a string like "http://localhost:8000/v1".'
        raise InvalidArgumentError(msg)
    if not good or any(character <= " " or character == "\x7f" for character in text):
        bare = re.fullmatch(r"[\w.\-]+(:\d+)?(/[\w.\-/]*)?", text)
        guess = text if bare else "localhost:8000/v1"
        msg = f'base_url {text!r} is not an http(s) URL: write it like "http://{guess}".'
        raise InvalidArgumentError(msg)
    if url.user is not None or url.password is not None:
        msg = "base_url contains a user name or password: pass them in default_headers instead."
        raise InvalidArgumentError(msg)
    if url.raw_query_string or url.raw_fragment:
        msg = f"base_url {text!r} has a query or fragment: pass the query as default_query."
        raise InvalidArgumentError(msg)
    return url.with_path(url.raw_path.rstrip("/"), encoded=True)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: a loopback address, or localhost (RFC 6761)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_proxy(proxy: str | None) -> str | None:
    """Return the proxy if aiohttp can use it: an http(s) URL."""
    if proxy is None:
        return None
    try:
        url = URL(proxy)
        good = url.scheme in ("http", "https") and bool(url.host)
    except (TypeError, ValueError):
        good = False
    if not good:
        msg = 'proxy is not an http(s) URL: write it like "http://proxy:3128".'
        raise InvalidArgumentError(msg)
    return proxy
