"""`run_requests`: any number of requests through a few workers, results as they finish.

The workers are in `workers.py`. Files are read and written in `job.py`.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from typing_extensions import TypeForm

from ..client import AsyncClient
from ..errors import InvalidArgumentError
from ..options import check_whole
from .requests import BatchRequest
from .results import BatchResult
from .retries import batch_client
from .workers import Workers

if TYPE_CHECKING:
    from ..structured import ResponseFormat
    from .parsing import Parsing

T = TypeVar("T")
Source: TypeAlias = (
    Iterable[BatchRequest | Mapping[str, Any]] | AsyncIterable[BatchRequest | Mapping[str, Any]]
)


@overload
def run_requests(
    client: AsyncClient,
    requests: Source,
    *,
    concurrency: int = 256,
    ordered: bool = False,
    parse: None = None,
    reask: int = 0,
) -> AsyncGenerator[BatchResult[None], None]: ...


@overload
def run_requests(
    client: AsyncClient,
    requests: Source,
    *,
    concurrency: int = 256,
    ordered: bool = False,
    parse: ResponseFormat[T],
    reask: int = 0,
) -> AsyncGenerator[BatchResult[T], None]: ...


@overload
def run_requests(
    client: AsyncClient,
    requests: Source,
    *,
    concurrency: int = 256,
    ordered: bool = False,
    parse: type[T],
    reask: int = 0,
) -> AsyncGenerator[BatchResult[T], None]: ...


@overload
def run_requests(
    client: AsyncClient,
    requests: Source,
    *,
    concurrency: int = 256,
    ordered: bool = False,
    parse: TypeForm[T],
    reask: int = 0,
) -> AsyncGenerator[BatchResult[T], None]: ...


@overload  # for types that are only known at run time
def run_requests(
    client: AsyncClient,
    requests: Source,
    *,
    concurrency: int = 256,
    ordered: bool = False,
    parse: object,
    reask: int = 0,
) -> AsyncGenerator[BatchResult, None]: ...


def run_requests(
    client: AsyncClient,
    requests: Source,
    *,
    concurrency: int = 256,
    ordered: bool = False,
    parse: Any = None,
    reask: int = 0,
) -> AsyncGenerator[BatchResult, None]:
    """Send all requests, `concurrency` at a time; yields each result as soon as it is there.

    A request that fails yields a result with an `error`. Closing the generator (or leaving its
    loop) cancels the requests in flight.

    Args:
        client: what to send with. If it has no `rate_limit`, it gets `RateLimit()`, which learns
            the server's limits. Once the server has answered, a failed request is retried ten
            times, which takes two to four minutes, and a wait that the server asks for is
            respected, up to an hour.
        requests: any iterable, sync or async, finite or endless, of `BatchRequest` or of mappings
            like the lines of a batch file. The next one is only taken when a worker is free and
            there is room for the result: never more than `2 * concurrency` ahead of the consumer
            (`5 * concurrency` with `ordered`).
        concurrency: how many are in flight at once, 1 or more.
        ordered: yield in the order of `requests`, whatever finishes first.
        parse: the type that the answers are read as, into `result.parsed`; see
            `chat.completions.parse`. Then all must be chat requests. One without a
            `response_format` gets that of the type. An answer that does not fit becomes a result
            with an `error`. For more options, pass what
            `openai_async.structured.response_format` returns.
        reask: how many times to ask again, with the error, if an answer does not fit.

    Raises:
        InvalidArgumentError: an argument is invalid (raised at once), or a request is (the message
            says which one).
        OpenAIError: the client was closed.

    If an invalid request, or an exception raised by `requests` itself, ends the run, it is raised
    after the results of all requests that were in flight.

    Example::

        async for result in run_requests(client, requests, concurrency=64):
            print(result.custom_id, result.error or result.completion.text)
    """
    check_whole("concurrency", concurrency)
    if isinstance(requests, str | bytes | Mapping) or not isinstance(
        requests, Iterable | AsyncIterable
    ):
        msg = (
            f"requests has type {type(requests).__name__}: pass an iterable (sync or async) of "
            "BatchRequest or of mappings."
        )
        raise InvalidArgumentError(msg)
    parsing = parsing_of(parse, reask)
    return _results(batch_client(client), requests, concurrency, ordered=ordered, parsing=parsing)


def run_blocks(
    client: AsyncClient,
    blocks: AsyncIterable[Sequence[BatchRequest]],
    stopping: Callable[[], bool],
    *,
    concurrency: int,
    parsing: Parsing | None = None,
) -> AsyncGenerator[BatchResult, None]:
    """As `run_requests`, for a source that yields blocks, in a run that may be stopped.

    Args:
        client: one made by `batch_client`.
        blocks: the requests; the next block is only taken once all of the last are being sent.
        stopping: called before each request is taken; once it returns true, no more are.
        concurrency: as for `run_requests`.
        parsing: how the answers are parsed.
    """
    return _results(client, blocks, concurrency, in_blocks=True, stopping=stopping, parsing=parsing)


def parsing_of(parse: Any, reask: int) -> Parsing | None:
    """How the answers are parsed; see `run_requests`.

    Raises:
        InvalidArgumentError: the type has no schema, or `reask` is not a number.
    """
    if parse is None and reask == 0:
        return None
    from .parsing import Parsing  # most batches have no use for it

    return Parsing.of(parse, reask)


async def _results(
    client: AsyncClient, requests: Any, concurrency: int, **options: Any
) -> AsyncGenerator[BatchResult, None]:
    # The tasks refer only to `workers`, never to this generator. So it is deleted, and thereby
    # closed, when the consumer leaves its loop.
    workers = Workers(client, requests, concurrency, **options)
    try:
        workers.start()
        while await workers.some_ready():
            while workers.ready:
                yield workers.take()
    finally:
        await workers.close()
