"""`client.embeddings`: https://platform.openai.com/docs/api-reference/embeddings

More inputs than one request may have are sent in several requests, and their answers merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, Unpack

from ..errors import APIStatusError, OpenAIError, invalid_answer
from ..types.embeddings import CreateEmbeddingResponse, EmbeddingCreateParams, Usage
from .base_client import Resource
from .endpoint import Endpoint
from .inputs import check_text, checked_list
from .parallel import run_all
from .response_methods import Kind, Raw, Responses, Streaming, method

CREATE = Endpoint("create", "POST", "/embeddings", EmbeddingCreateParams, CreateEmbeddingResponse)

# The limits of OpenAI's API for one request. They apply to every server: a gateway to OpenAI cannot
# be told from other servers by its URL, and those with higher limits only get more requests.
MAX_INPUTS = 2048
MAX_TOKENS = 300_000
# Requests of one call that are in flight at the same time.
CONCURRENT = 4


class Embeddings(Resource):
    """Texts as vectors."""

    async def create(self, **params: Unpack[EmbeddingCreateParams]) -> CreateEmbeddingResponse:
        """The vectors of one or more texts, in their order.

        Vectors are sent as base64 unless you pass `encoding_format="float"`; you get the same
        vectors. If a server refuses base64, the request is sent again without `encoding_format`.

        More than 2,048 inputs, or 300,000 bytes of text (at most as many tokens), are sent in
        several requests, four at a time. Their answers are merged: `usage` is the sum, and `meta`
        is that of the last answer to arrive, which has the latest rate limits. If one fails, the
        others are cancelled, and the call raises its error.

        Raises:
            InvalidArgumentError: `input` is empty, has an empty text, or is not text or tokens.
            TypeError: a parameter is missing or unknown.
            APIResponseValidationError: a vector is missing or malformed.
            APIError: see `openai_async.errors`.

        Example::

            response = await client.embeddings.create(
                model="text-embedding-3-small", input=["Hello", "Good morning"]
            )
            vector = response.data[0].embedding
        """
        CREATE.check(params)
        extra_body = params.get("extra_body")
        if isinstance(extra_body, Mapping) and "input" in extra_body:
            return await self._vectors(params, None)
        inputs = _inputs(params["input"])
        if inputs is None:
            return await self._vectors(params, 1)
        parts = [*_parts(inputs)]
        if len(parts) == 1:
            return await self._vectors(params, len(inputs))
        return await self._joined(params, parts)

    async def _vectors(
        self, params: Mapping[str, Any], count: int | None
    ) -> CreateEmbeddingResponse:
        """The answer of one request; `count` is the number of its inputs, if it is known."""
        call = self._client._call
        try:
            return _in_order(await call(CREATE, {"encoding_format": "base64", **params}), count)
        except APIStatusError as error:
            if "encoding_format" in params or not _refuses_base64(error):
                raise
        return _in_order(await call(CREATE, params), count)

    async def _joined(
        self, params: Mapping[str, Any], parts: Sequence[Sequence[Any]]
    ) -> CreateEmbeddingResponse:
        answers: dict[int, CreateEmbeddingResponse] = {}  # in the order of arrival
        queue = iter(enumerate(parts))

        async def work() -> None:
            for place, part in queue:
                try:
                    answers[place] = await self._vectors({**params, "input": part}, len(part))
                except OpenAIError as error:
                    start = sum(map(len, parts[:place]))
                    error.add_note(f"This was the request for input[{start}:{start + len(part)}].")
                    raise

        await run_all(work() for _ in range(min(CONCURRENT, len(parts))))
        latest = [*answers.values()][-1].meta
        joined = reduce(_join, [answers[place] for place in range(len(parts))])
        joined.meta = latest
        return joined

    @property
    def with_raw_response(self) -> EmbeddingResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return EmbeddingResponses(self, Raw)

    @property
    def with_streaming_response(self) -> EmbeddingResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return EmbeddingResponses(self, Streaming)


class EmbeddingResponses(Responses[Kind]):
    create = method(Embeddings.create)


# --- inputs ---


def _inputs(value: Any) -> Sequence[Any] | None:
    """The inputs, if it is a list of them; `None` for a single one, a text or its tokens."""
    if isinstance(value, str):
        check_text(value)
        return None
    if isinstance(value, list | tuple) and value and _are_tokens(value):
        return None
    return checked_list(value, _are_tokens, "the tokens of a text")


def _are_tokens(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        hasattr(item, "__index__") and not isinstance(item, bool) for item in value
    )


def _parts(inputs: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The inputs in slices that each fit in a request."""
    start = tokens = 0
    for place, item in enumerate(inputs):
        count = _most_tokens(item)
        if place > start and (place - start == MAX_INPUTS or tokens + count > MAX_TOKENS):
            yield inputs[start:place]
            start, tokens = place, 0
        tokens += count
    yield inputs[start:]


def _most_tokens(item: Any) -> int:
    """An upper bound for the tokens of an input: no token is shorter than a byte of UTF-8.

    For English it is four times too high, which only makes requests smaller. An estimate that is
    too low for another language would get a request refused.
    """
    if not isinstance(item, str) or item.isascii():
        return len(item)
    return len(item.encode("utf-8", "surrogatepass"))


# --- answers ---


def _refuses_base64(error: APIStatusError) -> bool:
    """Whether a server says that it does not support base64 (old vLLM, LiteLLM for Ollama)."""
    said = str(error).lower()
    return error.param == "encoding_format" or "encoding_format" in said or "base64" in said


def _in_order(answer: CreateEmbeddingResponse, count: int | None) -> CreateEmbeddingResponse:
    """The answer with its vectors in the order of the inputs.

    Servers that send no index, or the same one several times, send the vectors in that order.
    """
    data = answer.data
    if not data or (count is not None and len(data) != count) or not all(v.embedding for v in data):
        found = sum(1 for item in data if item.embedding)
        wanted = "at least 1 was" if count is None else f"{count} {'was' if count == 1 else 'were'}"
        msg = f"The answer has {found} vectors where {wanted} expected."
        raise invalid_answer(msg, answer.meta)
    if len({item.index for item in data}) == len(data):
        data.sort(key=lambda item: item.index)
    for place, item in enumerate(data):
        if item.index != place:
            object.__setattr__(item, "index", place)  # `to_dict()` keeps what the server sent
    return answer


def _join(one: CreateEmbeddingResponse, more: CreateEmbeddingResponse) -> CreateEmbeddingResponse:
    """The first answer, extended by the vectors and usage of the second."""
    for item in more.data:
        item.index += len(one.data)
    one.data.extend(more.data)
    if one.usage is None or more.usage is None:
        one.usage = None  # a partial sum would be wrong
    else:
        one.usage = Usage.from_dict(_sum(one.usage.to_dict(), more.usage.to_dict()))
    return one


def _sum(one: Any, more: Any) -> Any:
    """The sum of two numbers, or of all numbers in two objects."""
    if isinstance(one, dict) and isinstance(more, dict):
        return {key: _sum(one.get(key), more.get(key)) for key in {**one, **more}}
    if isinstance(one, int | float) and isinstance(more, int | float):
        return one + more
    return more if one is None else one
