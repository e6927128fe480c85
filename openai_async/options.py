"""The options of a client: time, retries, rate limits, and what comes from the environment.

Values are checked here, when they are given, so that nothing wrong ever reaches a request.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Any, TypeAlias, TypedDict

from attrs import Attribute, field, frozen
from multidict import CIMultiDict
from yarl import URL

from .errors import InvalidArgumentError

DEFAULT_BASE_URL = "https://api.openai.com/v1"

APIKey: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""The key itself, or a function (plain or async) that is asked for it before each attempt."""


# Thirty years: more is a mistake, and overflows in the event loop's clock.
_MAX_SECONDS = 1e9


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_seconds(value: object) -> bool:
    return _is_number(value) and 0 < value <= _MAX_SECONDS  # type: ignore[operator]


def _seconds(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A validator: a positive, finite number of seconds."""
    if not _is_seconds(value):
        msg = f"{attribute.name} is {value!r}: pass a positive number of seconds."
        raise InvalidArgumentError(msg)


def _seconds_or_none(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None:
        _seconds(instance, attribute, value)


def check_retries(value: object) -> int:
    """`max_retries`, if it is a whole number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        msg = f"max_retries is {value!r}: pass a whole number, 0 for no retries."
        raise InvalidArgumentError(msg)
    return value


@frozen(kw_only=True)
class Timeout:
    """How long to wait, in seconds. `None` waits for ever.

    Attributes:
        total: one attempt of a plain call, body included; for a stream, its headers.
        connect: DNS, TCP and TLS together. Waiting for a free connection does not count.
        idle: the silence between two reads of a stream. A comment line ends a silence.
            How long a stream lasts in all is not bounded.
    """

    total: float | None = field(default=600.0, validator=_seconds_or_none)
    connect: float | None = field(default=10.0, validator=_seconds_or_none)
    idle: float | None = field(default=300.0, validator=_seconds_or_none)

    @classmethod
    def of(cls, value: Timeout | float | None) -> Timeout:
        """A `Timeout` from what a user may pass: a number is `total`; `None` is no limit."""
        if isinstance(value, Timeout):
            return value
        if value is None:
            return cls(total=None, connect=None, idle=None)
        if not _is_seconds(value):
            msg = f"timeout is {value!r}: pass a positive number of seconds or a Timeout."
            raise InvalidArgumentError(msg)
        return cls(total=value)


@frozen(kw_only=True)
class RetryPolicy:
    """How failed attempts are spaced. How many there are is `max_retries`, client or call.

    Without word from the server the wait before retry n is random between 0 and
    `min(max_delay, initial_delay * 2 ** n)`: "full jitter", which spreads a crowd of tasks that
    failed together better than any fixed factor (AWS Architecture Blog, "Exponential Backoff
    And Jitter").

    Attributes:
        initial_delay: upper bound of the first wait, in seconds.
        max_delay: upper bound of every wait we choose ourselves, in seconds.
        max_retry_after: the longest wait a server may ask for, in seconds; if it asks for more,
            the error comes at once and carries `.retry_after`.
        budget: tokens in the bucket that all calls of a client share. A retry costs 5, one after
            a timeout 10; a call that succeeds gives back what its last retry cost, or 1. At 0
            there are no retries. 500, 5, 10 and 1 are the AWS SDKs' standard retry mode.
    """

    initial_delay: float = field(default=0.5, validator=_seconds)
    max_delay: float = field(default=8.0, validator=_seconds)
    max_retry_after: float = field(default=60.0, validator=_seconds)
    budget: int = field(default=500)

    @budget.validator
    def _check_budget(self, attribute: Attribute[int], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            msg = f"budget is {value!r}: pass a whole number of tokens, 0 for no retries at all."
            raise InvalidArgumentError(msg)


def _per_minute(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A validator: `None`, or a positive, finite number."""
    if value is not None and not (_is_number(value) and 0 < value < inf):  # type: ignore[operator]
        msg = f"{attribute.name} is {value!r}: pass a positive number, or None for no limit."
        raise InvalidArgumentError(msg)


@frozen(kw_only=True)
class RateLimit:
    """How fast to send: requests wait for their turn on the client, and earn no 429s.

    Each model has limits of its own, in requests and in tokens. A client without a `RateLimit`
    sends at once; `RateLimit()` sets no limit, and learns the server's.

    Attributes:
        requests_per_minute, tokens_per_minute: never to be passed. `None` is no limit.
        adaptive: learn from the server's `x-ratelimit-*` headers, `retry-after` and 429s.
        estimate_tokens: how many tokens a request will take, answer included, from its parameters
            (what `create` was called with). The built-in one counts characters and pixels. Either
            is corrected by what `usage` says afterwards. It runs on the event loop.

    https://platform.openai.com/docs/guides/rate-limits
    """

    requests_per_minute: float | None = field(default=None, validator=_per_minute)
    tokens_per_minute: float | None = field(default=None, validator=_per_minute)
    adaptive: bool = field(default=True)
    estimate_tokens: Callable[[Mapping[str, Any]], float] | None = field(default=None)

    @adaptive.validator
    def _check_adaptive(self, attribute: Attribute[bool], value: object) -> None:
        if not isinstance(value, bool):
            msg = f"adaptive is {value!r}: pass True or False."
            raise InvalidArgumentError(msg)

    @estimate_tokens.validator
    def _check_estimate(self, attribute: Attribute[Any], value: object) -> None:
        if value is not None and not callable(value):
            msg = f"estimate_tokens is {value!r}: pass a function of the request's parameters."
            raise InvalidArgumentError(msg)


class RequestOptions(TypedDict, total=False):
    """What every call takes besides the parameters of the API."""

    extra_headers: Mapping[str, str | None] | None
    """A value of `None` leaves the header out, even one of ours or of `default_headers`."""
    extra_query: Mapping[str, str | int | float | bool] | None
    extra_body: Mapping[str, object] | None
    """Merged into the JSON body last: a vendor's own parameters."""
    timeout: Timeout | float | None
    max_retries: int


REQUEST_OPTIONS = frozenset(RequestOptions.__annotations__)


def find_api_key(api_key: APIKey | None, *, needed: bool) -> APIKey:
    """The key that was passed, or `OPENAI_API_KEY`, checked; "" if none is set and none needed."""
    if api_key is None:
        api_key = os.environ.get("OPENAI_API_KEY")
    if not api_key and not needed:
        return ""
    if api_key is None:
        msg = (
            "No API key: set OPENAI_API_KEY or pass api_key=... (a server that needs none takes "
            'any word; default_headers={"Authorization": None} sends no key at all).'
        )
        raise InvalidArgumentError(msg)
    return api_key if callable(api_key) else check_api_key(api_key)


# What people copy along with a key, and what to do.
_AROUND_KEYS = (
    (r"bearer(\s.*)?", 'begins with "Bearer": leave that out, as it is added automatically'),
    (
        r"((export\s+)?\w+_key\s*=|authorization\s*:).*",
        "begins with the name of a variable or header: pass the key alone",
    ),
    (r"""(["'`]).*\1""", "is in quotes: leave them out (Docker keeps the quotes in an --env-file)"),
)


def check_api_key(key: object) -> str:
    """A key that can be sent in a header: one line, not empty, printable ASCII.

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
    for look, said in _AROUND_KEYS:
        if re.fullmatch(look, key, re.IGNORECASE):
            raise InvalidArgumentError(f"The API key {said}.")
    if not re.fullmatch(r"[\x20-\x7e]+", key) or key != key.strip():
        msg = (
            "The API key has a line break, a space at either end, or a character that is not "
            "printable ASCII: pass the key alone (for a key read from a file, .strip() it)."
        )
        raise InvalidArgumentError(msg)
    return key


def find_base_url(base_url: str | URL | None) -> URL:
    """The base URL that was passed, or `OPENAI_BASE_URL`, or OpenAI's; without a last slash."""
    text = str(base_url if base_url is not None else os.environ.get("OPENAI_BASE_URL") or "")
    text = (text.strip() if base_url is None else text) or (
        DEFAULT_BASE_URL if base_url is None else ""
    )
    try:
        url = URL(text)
        good = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        good = False
    if not good and not isinstance(base_url, str | URL | None):
        kind = type(base_url).__name__
        msg = f'base_url has type {kind}: pass a string like "http://localhost:8000/v1".'
        raise InvalidArgumentError(msg)
    if not good or re.search(r"[\x00-\x20\x7f]", text):
        bare = re.fullmatch(r"[\w.\-]+(:\d+)?(/[\w.\-/]*)?", text)
        guess = text if bare else "localhost:8000/v1"
        msg = f'base_url {text!r} is no http(s) URL: write it like "http://{guess}".'
        raise InvalidArgumentError(msg)
    if url.user is not None or url.password is not None:
        msg = "base_url holds a user name or password: pass them in default_headers instead."
        raise InvalidArgumentError(msg)
    if url.raw_query_string or url.raw_fragment:
        msg = f"base_url {text!r} has a query or fragment: pass the query as default_query."
        raise InvalidArgumentError(msg)
    return url.with_path(url.raw_path.rstrip("/"), encoded=True)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: an address of the loopback net, or localhost (RFC 6761)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_proxy(proxy: str | None) -> str | None:
    """A proxy aiohttp can use: an http(s) URL."""
    if proxy is None:
        return None
    try:
        url = URL(proxy)
        good = url.scheme in ("http", "https") and bool(url.host)
    except (TypeError, ValueError):
        good = False
    if not good:
        msg = 'proxy is no http(s) URL: write it like "http://proxy:3128".'
        raise InvalidArgumentError(msg)
    return proxy


def find_header_value(header: str, value: str | None, variable: str) -> str:
    """An organization or project id, passed or from the environment; checked. "" is none."""
    found = os.environ.get(variable, "") if value is None else value
    if not isinstance(found, str):
        option = header.removeprefix("OpenAI-").lower()
        msg = f"{option} has type {type(found).__name__}: pass the id as a string."
        raise InvalidArgumentError(msg)
    check_headers({header: found})
    return found


def check_headers(headers: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Headers that cannot break out of their line (RFC 9110, section 5.5). `None`: no header."""
    if not isinstance(headers, Mapping):
        msg = f"Headers have type {type(headers).__name__}: pass a dict of strings."
        raise InvalidArgumentError(msg)
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str | None):
            msg = f"Header {name!r} is no text: names and values of headers are strings."
            raise InvalidArgumentError(msg)
        if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):
            msg = f"{name!r} is no name for a header."
            raise InvalidArgumentError(msg)
        if name.lower() in ("content-length", "transfer-encoding"):
            msg = f"{name!r} tells where the body ends and is set with it: leave it out."
            raise InvalidArgumentError(msg)
        if value is None:
            if name.lower() == "host":
                msg = "Every request needs a Host (RFC 9112, section 3.2): set it or leave it out."
                raise InvalidArgumentError(msg)
            continue
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            msg = f"The value of {name!r} holds a line break or control character: remove it."
            raise InvalidArgumentError(msg)
        if re.search(r"[\ud800-\udfff]", value):
            msg = f"The value of {name!r} has half a character (a lone surrogate): remove it."
            raise InvalidArgumentError(msg)
    return headers


def change_headers(
    headers: CIMultiDict[str], removed: frozenset[str], changes: Mapping[str, str | None]
) -> frozenset[str]:
    """Set the headers that have a value, and remove those that are `None`.

    Returns:
        The lower-case names of those that must not be sent: `removed`, updated by the changes.
    """
    gone = set(removed)
    for name, value in changes.items():
        if value is None:
            headers.popall(name, None)
            gone.add(name.lower())
        else:
            headers[name] = value
            gone.discard(name.lower())
    return frozenset(gone)
