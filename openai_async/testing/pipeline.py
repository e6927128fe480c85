"""What happens to each request: recorded, limited, scripted, authorised, then handled.

Errors become responses in OpenAI's shape.
"""

import asyncio
import hmac
import logging
from collections import deque
from contextvars import ContextVar

from aiohttp import web
from aiohttp.typedefs import Handler as WebHandler

from .exchange import Exchange, Handler, ServerState
from .limits import Limiter, estimate_tokens
from .picture_store import BASE_PATH
from .recording import RecordedRequest, Signal
from .responses import (
    RefusedError,
    failure_response,
    json_response,
    standard_headers,
)
from .routes import routes
from .script import Failure, Reply, Script
from .sending import send_truncated

# aiohttp handles each request in a task of its own, so this is the current request's. The
# request itself does not hold it: its keys changed their type between versions of aiohttp.
_current: ContextVar[Exchange] = ContextVar("openai_async_exchange")

_logger = logging.getLogger(__name__)
# A line for each request, for `openai-async serve --verbose`. In tests, the client logs them.
_requests = logging.getLogger("openai_async.testing.requests")
if _requests.level == logging.NOTSET:
    _requests.setLevel(logging.WARNING)
# A test looks at a few; a server that runs for days must not keep them all.
_MAX_RECORDS = 10_000


class Pipeline:
    """Every request goes through `handle`, which keeps a list of them."""

    def __init__(self, state: ServerState, script: Script, api_key: str | None) -> None:
        self.state = state
        self.requests: deque[RecordedRequest] = deque(maxlen=_MAX_RECORDS)
        self._count = 0
        self._arrival = Signal()
        self._exchanges: set[Exchange] = set()
        self._script = script
        self._api_key = api_key

    async def idle(self) -> None:
        """Wait until no request is being answered."""
        for exchange in [*self._exchanges]:
            await exchange.record.finished()

    def clear(self) -> None:
        self.requests.clear()
        self._count = 0

    async def received(self, count: int) -> RecordedRequest:
        """Wait until `count` requests have arrived since the last `clear`."""
        if count < 1:
            msg = f"count must be 1 or more, not {count!r}."
            raise ValueError(msg)
        while True:
            arrival = self._arrival  # the next one, even if it comes from another thread right now
            if self._count >= count:
                return self.requests[-1]
            await arrival.wait()

    def _record_arrival(self, record: RecordedRequest) -> None:
        self.requests.append(record)
        self._count += 1
        arrival, self._arrival = self._arrival, Signal()  # later ones wait for the next request
        arrival.set()

    async def handle(self, request: web.Request, handler: WebHandler) -> web.StreamResponse:
        record = RecordedRequest(request.method, request.path, dict(request.query), request.headers)
        exchange = Exchange(request, record, self.state)
        _current.set(exchange)
        self._exchanges.add(exchange)
        self._record_arrival(record)
        response: web.StreamResponse = web.Response(status=499)  # for a client that has left
        try:
            response = await self._answer(exchange, handler)
            if exchange.failure and exchange.failure.breaks_after is not None:
                if isinstance(response, web.Response):
                    return await send_truncated(exchange, response)
                return response
            # Sent from here rather than by aiohttp, so that `finished` means sent.
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            exchange.connection_lost()
        except asyncio.CancelledError:
            exchange.connection_lost()
            raise
        finally:
            self._exchanges.discard(exchange)
            record.finish()
            # As it was sent: a line break in an id stays encoded.
            path = request.rel_url.raw_path
            _requests.info("%s %s: %d", request.method, path, response.status)
        return response

    async def _answer(self, exchange: Exchange, handler: WebHandler) -> web.StreamResponse:
        """The handler's response, or the error response for whatever it raises."""
        request = exchange.request
        try:
            return await self._dispatch(exchange, handler)
        except RefusedError as refused:
            return refused.response()
        except web.HTTPRequestEntityTooLarge:
            msg = "The request body is too large for this server (64 MiB)."
            return RefusedError(413, msg, code="request_too_large").response()
        except web.RequestPayloadError as error:
            return RefusedError(400, f"The request body cannot be read: {error}").response()
        except web.HTTPMethodNotAllowed as wrong:
            msg = f"Not allowed to {request.method} on {request.path}."
            headers = {"Allow": ", ".join(sorted(wrong.allowed_methods))}
            code = "method_not_supported"
            return RefusedError(405, msg, code=code, headers=headers).response()
        except web.HTTPException as wrong:
            msg = f"Invalid URL ({request.method} {request.path})."
            return RefusedError(wrong.status, msg, code="unknown_url").response()
        except ConnectionError:
            raise
        except Exception:
            _logger.exception("LocalServer failed on %s %s", request.method, request.path)
            msg = "The server had an error while processing your request."
            return RefusedError(500, msg, type="server_error").response()

    async def _dispatch(self, exchange: Exchange, handler: WebHandler) -> web.StreamResponse:
        request, record = exchange.request, exchange.record
        path = request.path
        is_api = path.startswith(f"{BASE_PATH}/")
        limiter = self.state.limiter
        limited = limiter is not None and is_api and request.method == "POST"
        # A step belongs to the request that has arrived first; a function needs all of its request.
        in_order = is_api and not limited and not self._script.chooses
        if in_order:
            exchange.step = self._script.take()
        record.body = await request.read()
        if limiter is None:
            self.state.window.spend(len(record.body) // 4 + 1)
        elif limited:
            _admit(exchange, limiter)  # a rejected request leaves its step to the next
        if is_api and not in_order:
            exchange.step = await self._chosen_step(record)
        failure = exchange.failure
        if failure is not None:
            await asyncio.sleep(failure.delay)
            if failure.status is not None:
                return failure_response(failure, failure.status)
        if is_api:
            self._authorize(request)
        if exchange.reply is not None and exchange.reply.is_json:
            return json_response(exchange.reply.json)
        return await handler(request)

    async def _chosen_step(self, record: RecordedRequest) -> Reply | Failure | None:
        try:
            return await self._script.choose(record)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # `pytest.fail` raises one that is no Exception
            # The function is the test's own: its author reads this in the client's exception.
            _logger.exception(
                "A function of the script failed on %s %s", record.method, record.path
            )
            msg = f"The script's function failed: {type(error).__name__}: {error}"
            raise RefusedError(500, msg, type="server_error") from error

    def _authorize(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            msg = "You didn't provide an API key: send `Authorization: Bearer YOUR_KEY`."
            raise RefusedError(401, msg)
        if self._api_key is not None and not hmac.compare_digest(
            key.encode(), self._api_key.encode()
        ):
            raise RefusedError(401, "Incorrect API key provided.", code="invalid_api_key")


def _admit(exchange: Exchange, limiter: Limiter) -> None:
    """Count the request, or refuse it.

    This comes before the key and the fields are checked: what fails with 401 or 400 counts too.
    """
    record = exchange.record
    fields = record.json
    model = fields.get("model") if isinstance(fields, dict) else None
    decision = limiter.admit(
        model if isinstance(model, str) else None,
        estimate_tokens(record.body, fields),
        asyncio.get_running_loop().time(),
    )
    exchange.decision = decision
    if decision.message is not None:
        code = "rate_limit_exceeded"
        raise RefusedError(429, decision.message, type=decision.kind, code=code)


def make_application(pipeline: Pipeline, max_body: int) -> web.Application:
    @web.middleware
    async def middleware(request: web.Request, handler: WebHandler) -> web.StreamResponse:
        return await pipeline.handle(request, handler)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        exchange = _current.get()
        for name, value in standard_headers(exchange.rate_headers(), exchange.started).items():
            # What the script says comes first: tests set their own limits and request ids.
            response.headers.setdefault(name, value)

    app = web.Application(middlewares=[middleware], client_max_size=max_body)
    app.on_response_prepare.append(add_headers)
    for method, path, handler in routes():
        if method == "GET":
            app.router.add_get(path, _web_handler(handler))  # which takes HEAD, too
        else:
            app.router.add_route(method, path, _web_handler(handler))
    return app


def _web_handler(handler: Handler) -> WebHandler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(_current.get())

    return handle
