"""Options and attributes of the official client that this one does not have, and what to use."""

from __future__ import annotations

from .errors import InvalidArgumentError
from .sentinels import is_left_out

_ADVICE = {
    "http_client": (
        "this client sends through aiohttp. Pass proxy=, ssl= or session= (an "
        "aiohttp.ClientSession) instead; or keep the official client, and pass "
        "openai_async.adapters.http_client(client) to it as http_client"
    ),
    "webhook_secret": "this client does not verify webhooks. Leave it out",
    "websocket_base_url": "this client opens no WebSockets. Leave it out",
    "_strict_response_validation": (
        "answers are read leniently, whatever the server sends. Leave it out"
    ),
}

_NO_METHODS = (
    "audio",
    "completions",
    "containers",
    "conversations",
    "evals",
    "fine_tuning",
    "responses",
    "vector_stores",
    "videos",
)
_ATTRIBUTES = {
    **dict.fromkeys(
        _NO_METHODS, 'These endpoints have no methods yet: call request("POST", "/path", json=...).'
    ),
    **dict.fromkeys(
        ("get", "post", "put", "patch", "delete"),
        'Call request("POST", "/path", json=...), with any HTTP method.',
    ),
}


def missing_attribute(client: object, name: str) -> AttributeError:
    """What a client raises for an attribute that it does not have."""
    msg = f"{type(client).__name__!r} object has no attribute {name!r}"
    if name in _ATTRIBUTES:
        msg = f"{msg}. {_ATTRIBUTES[name]}"
    return AttributeError(msg, name=name, obj=client)


def refuse_official_options(**options: object) -> None:
    """Raise InvalidArgumentError for an option that is set to anything but its default."""
    for name, value in options.items():
        if value is not None and value is not False and not is_left_out(value):
            msg = f"{name} has type {type(value).__name__}, but {_ADVICE[name]}."
            raise InvalidArgumentError(msg)
