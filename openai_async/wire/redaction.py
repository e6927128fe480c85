"""Removes API keys from everything that is shown: some servers repeat them in responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from ..types.values import TOO_DEEP

# Shorter keys ("local", "ollama", "none") are placeholders, and may be words in any message.
MIN_SECRET = 8
# Headers whose value is a key: HTTP's own, and those of Azure, many gateways, Google, and Azure API
# Management.
SECRET_HEADERS = (
    "Authorization",
    "Proxy-Authorization",
    "Api-Key",
    "X-Api-Key",
    "X-Goog-Api-Key",
    "Ocp-Apim-Subscription-Key",
)
# Query parameters whose value is a key.
SECRET_PARAMETERS = (
    "key",
    "api_key",
    "api-key",
    "apikey",
    "token",
    "access_token",
    "subscription-key",
)


def secret_of(headers: Mapping[str, str], *more: str | None) -> str | None:
    """The keys in these headers, and `more` keys, one per line, for `redacted` to remove."""
    keys = [key for key in more if key is not None]
    for name in SECRET_HEADERS:
        if name in headers:
            value = headers[name]
            # Only the key in "Bearer abc": that is what a server repeats.
            keys.append(value.partition(" ")[2].strip() or value if "Auth" in name else value)
    if len(keys) > 1:  # longest first: one may be part of another
        keys = sorted(set(keys), key=len, reverse=True)
    return "\n".join([key for key in keys if len(key) >= MIN_SECRET]) or None


def redacted(value: Any, secret: str | None) -> Any:
    """A parsed body without the API key, which some servers repeat in their responses.

    It works on parsed values, where no JSON escape can hide the key, and must run before anything
    is shortened, which could leave half of it. Several keys are passed one per line: no key has a
    line break.
    """
    keys = [] if secret is None else [key for key in secret.split("\n") if len(key) >= MIN_SECRET]
    if not keys:
        return value
    try:
        for key in keys:
            value = _without(value, key)
        return value
    except RecursionError:
        return TOO_DEEP


def without_secret(headers: Mapping[str, str], secret: str | None) -> Mapping[str, str]:
    """Headers without the API key; usually the same object."""
    if secret is None or len(secret) < MIN_SECRET:
        return headers
    values = "\n".join(headers.values())
    for key in secret.split("\n"):
        if key in values:
            break
    else:
        return headers
    return CIMultiDictProxy(CIMultiDict((k, redacted(v, secret)) for k, v in headers.items()))


def _without(value: Any, secret: str) -> Any:
    if isinstance(value, str):
        return value.replace(secret, "[api_key]")
    if isinstance(value, Mapping):
        return {_without(key, secret): _without(item, secret) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, secret) for item in value]
    return value
