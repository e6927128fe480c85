"""One request of a batch, validated: a line of the input of the OpenAI Batch API.

https://platform.openai.com/docs/api-reference/batch/request-input
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from attrs import field, frozen

from ..errors import InvalidArgumentError
from ..jsontext import shown
from ..resources import chat, images, models
from ..types.structuring import without_hooks

CHAT_URL = f"/v1{chat.CREATE.path}"
POST_URLS = frozenset(
    {
        CHAT_URL,
        f"/v1{images.GENERATE.path}",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/moderations",
        "/v1/responses",
        # vLLM's own, as `vllm run-batch` accepts them.
        "/v1/classify",
        "/v1/pooling",
        "/v1/rerank",
        "/v1/score",
    }
)
"""Endpoints that take a JSON object and answer with one; not uploads and audio."""
POST_PATHS = POST_URLS | {url.removeprefix("/v1") for url in POST_URLS}
"""The same, with and without the API version."""

_GET_URL = re.compile(rf"(/v1)?{models.LIST.path}(/(?!\.{{1,2}}(/|$))[^/?#\s]+)*")
# OpenAI limits ids to 64 characters, vLLM does not. More than this is a mistake.
MAX_ID = 512


@frozen(kw_only=True, weakref_slot=False)
class BatchRequest:
    """A request, and the id that its result will have.

    Attributes:
        custom_id: yours, different for each request of a batch.
        method: "POST", or "GET" for the models.
        url: the path at OpenAI, such as "/v1/chat/completions"; "/v1" stands for the `base_url` of
            the client, and may be omitted, as in Azure's files.
        body: the parameters of the call.

    Raises:
        InvalidArgumentError: one short sentence on what is wrong.
    """

    custom_id: str
    url: str
    body: Mapping[str, Any] = field(factory=dict)
    method: str = "POST"

    def __attrs_post_init__(self) -> None:
        _check_custom_id(self.custom_id)
        _check_url(self.url)
        _check_method(self.method, self.url)
        _check_body(self.body, self.method)

    @classmethod
    def of(cls, value: object) -> BatchRequest:
        """A request from a parsed line.

        Raises:
            InvalidArgumentError: one short sentence on what is wrong with it.
        """
        if isinstance(value, BatchRequest):
            return value
        if type(value) is dict and (request := _usual_post(value)) is not None:
            return request
        if not isinstance(value, Mapping):
            msg = 'not a JSON object: write {"custom_id", "method", "url", "body"}.'
            raise InvalidArgumentError(msg)
        line: Any = value  # of any content, which is validated next
        method, body = line.get("method", "POST"), line.get("body")
        if body is None and method == "GET":
            body = {}
        return cls(custom_id=line.get("custom_id"), url=line.get("url"), method=method, body=body)  # pyright: ignore[reportArgumentType]

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


# Checks and frozen setters would take most of the time that it takes to read a file.
_Unchecked: Any = without_hooks(BatchRequest)


def unchecked_post(custom_id: str, url: str, body: Mapping[str, Any]) -> BatchRequest:
    """A POST request from fields that are known to be valid."""
    request = _Unchecked.__new__(_Unchecked)
    request.custom_id = custom_id
    request.url = url
    request.body = body
    request.method = "POST"
    request.__class__ = BatchRequest
    return request  # type: ignore[no-any-return]


def _usual_post(line: dict[Any, Any]) -> BatchRequest | None:
    """The request in a line without mistakes; `None` for any other."""
    custom_id, url, body = line.get("custom_id"), line.get("url"), line.get("body")
    if (
        type(custom_id) is str
        and 0 < len(custom_id) <= MAX_ID
        and type(url) is str
        and url in POST_PATHS
        and type(body) is dict
        and not body.get("stream")
        and line.get("method", "POST") == "POST"
    ):
        return unchecked_post(custom_id, url, body)
    return None


def _check_custom_id(value: object) -> None:
    if value is None:
        msg = "custom_id is missing: give each request a different one."
        raise InvalidArgumentError(msg)
    if not isinstance(value, str) or not value or len(value) > MAX_ID:
        msg = f"custom_id is {shown(value, 40)}: pass a string of 1 to {MAX_ID} characters."
        raise InvalidArgumentError(msg)


def _check_url(value: object) -> None:
    if isinstance(value, str) and (_is_post(value) or _GET_URL.fullmatch(value)):
        return
    if value is None:
        msg = f'url is missing: write one like "{CHAT_URL}".'
        raise InvalidArgumentError(msg)
    text = value[:80] if isinstance(value, str) else ""
    if _ADDRESS.match(text):
        # Refused instead of ignored: requests are sent to the client's server, with its key.
        path = _nearest(_ADDRESS.sub("", text))
        msg = f"url {text!r} names a server, but that is what base_url is for: write {path!r}."
        raise InvalidArgumentError(msg)
    what = f"{text!r} is unknown" if text else f"is {shown(value)}"
    msg = f"url {what}: write one like {_nearest(text)!r}."
    raise InvalidArgumentError(msg)


_ADDRESS = re.compile(r"https?://[^/]*", re.IGNORECASE)


def _is_post(url: str) -> bool:
    return url in POST_PATHS


@lru_cache(maxsize=16)  # a mistake is usually on every line, and this takes 0.1 ms
def _nearest(url: str) -> str:
    completed = (
        [known for known in sorted(POST_URLS) if known.startswith(url)] if len(url) > 4 else []
    )
    near = completed or get_close_matches(url, POST_URLS, n=1, cutoff=0.5)
    return (near or [CHAT_URL])[0]


def _check_method(value: object, url: str) -> None:
    wanted = "POST" if _is_post(url) else "GET"
    if value != wanted:
        msg = f'method is {shown(value, 20)}: write "{wanted}" for this url.'
        raise InvalidArgumentError(msg)


def _check_body(value: object, method: str) -> None:
    if not isinstance(value, Mapping):
        state = "missing" if value is None else "not an object"
        msg = f"body is {state}: write the parameters of the call as a JSON object."
        raise InvalidArgumentError(msg)
    if value.get("stream"):
        msg = "body has stream, which a batch does not support: leave it out."
        raise InvalidArgumentError(msg)
