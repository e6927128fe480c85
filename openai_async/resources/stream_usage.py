"""Requests the usage of streamed answers, except from servers that refuse to be asked.

OpenAI reports the usage of a stream only with `stream_options={"include_usage": True}`. Most
servers know that parameter, but some refuse it: Mistral with 422, older Azure API versions with
400. The request is then sent again without it, at once, and that server is not asked again for that
model (`usage_refusals`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._submodules import LazyModule
from ..errors import APIError
from ..http.request import Request, Response
from .endpoint import Endpoint
from .params import is_sent, sent_number, sent_value
from .usage_refusals import UsageRefusals, may_refuse

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


def stream_arguments(
    client: BaseClient, endpoint: Endpoint[Any], params: Mapping[str, Any], body: bytes
) -> dict[str, Any]:
    """The arguments of the `ChatCompletionStream` that sends this request."""
    size = len(body)
    if size > _SMALL_BODY:
        size = usage_estimate.prompt_size(body)
    if is_sent(params, "stream_options") or not client._asks_usage:
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
        refusals = UsageRefusals(client._usage_standings)
        place = str(client.base_url), str(sent_value(params, "model"))
        standing = refusals[place]
        if not standing.asks:
            response = await client._send(request(body, on_open))
            refusals.succeeded(place, standing)
            return response
        asked = request(body[:-1] + _QUESTION, on_open)
        try:
            response = await client._send(asked)
        except APIError as error:
            if not may_refuse(error, standing):
                raise
            attempts = error.attempts
        else:
            refusals.taken(place, standing)
            return response
        plain = request(body, on_open)
        plain.started = asked.started
        try:
            response = await client._send(plain)
        except APIError as error:
            # This is raised, not the first one: it is about what the caller has asked for.
            error.attempts += attempts
            refusals.doubted(place, standing)
            raise
        response.attempts += attempts
        refusals.refused(place)
        return response

    return connect
