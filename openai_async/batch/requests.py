"""One request of a batch: a line of the OpenAI Batch API's input, checked, with no file in sight.

https://platform.openai.com/docs/api-reference/batch/request-input
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from attrs import frozen

from ..errors import InvalidArgumentError

POST_URLS = frozenset(
    f"/v1/{path}"
    for path in (
        "chat/completions",
        "completions",
        "embeddings",
        "images/generations",
        "moderations",
        "responses",
        # vLLM's own, as `vllm run-batch` takes them.
        "classify",
        "pooling",
        "rerank",
        "score",
    )
)
"""What takes a JSON object and answers with one. Uploads and audio have no place in a JSON line."""

_GET_URL = re.compile(r"/v1/models(/(?!\.{1,2}(/|$))[^/?#\s]+)*")
# OpenAI's bound for ids is 64; vLLM has none. More than this is a mistake.
MAX_ID = 512


@frozen(kw_only=True)
class BatchRequest:
    """A request and the id that its result will carry.

    Attributes:
        custom_id: yours, different for each request of a batch.
        method: "POST", or "GET" for the models.
        url: the path as OpenAI has it, such as "/v1/chat/completions"; "/v1" stands for whatever
            the client's `base_url` is.
        body: the parameters of the call.
    """

    custom_id: str
    url: str
    body: Mapping[str, Any]
    method: str = "POST"

    @classmethod
    def of(cls, value: object) -> BatchRequest:
        """A request from a parsed line.

        Raises:
            InvalidArgumentError: one short sentence on what is wrong with it.
        """
        if isinstance(value, BatchRequest):
            return value
        if not isinstance(value, Mapping):
            msg = 'not a JSON object: write {"custom_id", "method", "url", "body"}.'
            raise InvalidArgumentError(msg)
        custom_id = _custom_id(value.get("custom_id"))
        url = _url(value.get("url"))
        method = _method(value.get("method", "POST"), url)
        return cls(
            custom_id=custom_id,
            method=method,
            url=url,
            body=_body(value.get("body"), method),
        )

    @property
    def path(self) -> str:
        """The path below the client's `base_url`."""
        return self.url.removeprefix("/v1")

    def to_dict(self) -> dict[str, Any]:
        """The line, as a JSON object."""
        return {
            "custom_id": self.custom_id,
            "method": self.method,
            "url": self.url,
            "body": dict(self.body),
        }


def _custom_id(value: object) -> str:
    if value is None:
        msg = "custom_id is missing: give each line one of its own."
        raise InvalidArgumentError(msg)
    if not isinstance(value, str) or not value or len(value) > MAX_ID:
        msg = f"custom_id is {str(value)[:40]!r}: pass a string of 1 to {MAX_ID} characters."
        raise InvalidArgumentError(msg)
    return value


def _url(value: object) -> str:
    if isinstance(value, str) and (value in POST_URLS or _GET_URL.fullmatch(value)):
        return value
    if value is None:
        msg = 'url is missing: write one like "/v1/chat/completions".'
        raise InvalidArgumentError(msg)
    shown = str(value)[:80]
    msg = f"url {shown!r} is unknown: write one like {_nearest(shown)!r}."
    raise InvalidArgumentError(msg)


@lru_cache(maxsize=16)  # the same mistake is mostly on every line, and this takes 0.1 ms
def _nearest(url: str) -> str:
    return (get_close_matches(url, POST_URLS, n=1, cutoff=0.5) or ["/v1/embeddings"])[0]


def _method(value: object, url: str) -> str:
    wanted = "POST" if url in POST_URLS else "GET"
    if value != wanted:
        msg = f'method is {str(value)[:20]!r}: write "{wanted}" for this url.'
        raise InvalidArgumentError(msg)
    return wanted


def _body(value: object, method: str) -> Mapping[str, Any]:
    if value is None and method == "GET":
        return {}
    if not isinstance(value, Mapping):
        msg = "body is missing: write the parameters of the call as a JSON object."
        raise InvalidArgumentError(msg)
    if value.get("stream"):
        msg = "body asks for a stream, which a line of output cannot hold: leave stream out."
        raise InvalidArgumentError(msg)
    return value
