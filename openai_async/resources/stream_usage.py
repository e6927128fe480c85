"""Requests the usage of streamed answers, except from servers that refuse to be asked.

OpenAI reports the usage of a stream only with `stream_options={"include_usage": True}`. Most
servers know that parameter, but some refuse it: Mistral with 422, older Azure API versions with
400. The request is then sent again without it, at once, and that server is not asked again for that
model: a gateway may accept it for some models only.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._submodules import LazyModule
from ..errors import APIError
from ..http.request import Request, Response
from .endpoint import Endpoint
from .params import is_sent, sent_number, sent_value

if TYPE_CHECKING:
    from ..streaming import usage_estimate
    from ..streaming.raw import Connect
    from .base_client import BaseClient
else:
    usage_estimate = LazyModule("openai_async.streaming.usage_estimate")

# Written at the end of the body: without it, the body is what the caller asked for.
_QUESTION = b',"stream_options":{"include_usage":true}}'
# A body of up to this many bytes counts as text: searching it for pictures would take time.
_SMALL_BODY = 16 * 1024
# At least this many refusals are remembered, the latest ones.
MAX_REFUSALS = 256

# The question itself, in an error that quotes the request.
_QUOTED = re.compile(r"""["']?stream_options["']?\s*:\s*\{[^}]*\}""")

_NAMES = ("stream_options", "include_usage")
# What servers say about a parameter that they do not know, if they do not name it.
_UNKNOWN = re.compile(
    r"extra[ _](forbidden|inputs|fields)|additional propert"
    r"|(unknown|unrecogni[sz]ed|unexpected) (\w+ )?(field|param|arg|propert|key|option|input)",
    re.IGNORECASE,
)


def stream_arguments(
    client: BaseClient, endpoint: Endpoint[Any], params: Mapping[str, Any], body: bytes
) -> dict[str, Any]:
    """The arguments of the `ChatCompletionStream` that sends this request."""
    size = len(body)
    if size > _SMALL_BODY:
        size = usage_estimate.prompt_size(body)
    if is_sent(params, "stream_options"):
        connect = client._connector(endpoint, params, body)
    else:
        connect = asking_connector(client, endpoint, params, body)
        if "n" not in params and "extra_body" not in params:
            # The usual case; the rest takes 2 us.
            return {"connect": connect, "prompt_size": size, "hide_usage": True}
    options = sent_value(params, "stream_options")
    return {
        "connect": connect,
        "prompt_size": size,
        "n": sent_number(params, "n", 1),
        "include_usage": isinstance(options, Mapping) and bool(options.get("include_usage")),
        "hide_usage": not is_sent(params, "stream_options"),
    }


def asking_connector(
    client: BaseClient, endpoint: Endpoint[Any], params: Mapping[str, Any], body: bytes
) -> Connect:
    """The function that a stream calls to open its response, with the usage asked for."""

    def request(body: bytes, on_open: Callable[[Response], Awaitable[None]]) -> Request:
        made = client._request(endpoint.method, endpoint.path, body, params)
        made.stream = True
        made.on_open = on_open
        return made

    async def connect(on_open: Callable[[Response], Awaitable[None]]) -> Response:
        refused = client._usage_refused
        if refused and _place(client, params) in refused:
            return await client._send(request(body, on_open))
        asked = request(body[:-1] + _QUESTION, on_open)
        try:
            return await client._send(asked)
        except APIError as error:
            if not _refuses(error):
                raise
            attempts = error.attempts
        plain = request(body, on_open)
        plain.started = asked.started
        try:
            response = await client._send(plain)
        except APIError as error:
            error.attempts += attempts
            raise
        response.attempts += attempts
        # Not before this succeeds: the error may quote the whole request, but mean another part.
        if len(refused) >= MAX_REFUSALS:
            oldest, *_ = refused
            refused.pop(oldest, None)  # unless another thread has
        refused[_place(client, params)] = None
        return response

    return connect


def _place(client: BaseClient, params: Mapping[str, Any]) -> tuple[str, str]:
    return str(client.base_url), str(sent_value(params, "model"))


def _refuses(error: APIError) -> bool:
    """Whether an error may be caused by our request for the usage."""
    text = _QUOTED.sub("", f"{error.message} {error.body}")
    if error.status_code not in (401, 403, 408, 409, 429) and any(map(text.__contains__, _NAMES)):
        return True
    return error.status_code in (400, 422) and _UNKNOWN.search(text) is not None
