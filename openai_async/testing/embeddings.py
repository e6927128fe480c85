"""Embeddings whose vectors are near each other for texts that share words and parts of words.

Each word and each run of three letters adds to one position of the vector, chosen by its hash. So
the same text has the same vector in every run, and unrelated texts are roughly at right angles.
"""

import asyncio
import base64
import math
import re
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from ..jsontext import shown
from . import checks
from .exchange import Exchange
from .responses import invalid, json_response
from .tokens import count_tokens

_DIMENSIONS = {"text-embedding-3-large": 3072}
_USUAL_DIMENSIONS = 1536
_FIXED = "text-embedding-ada-002"
_MAX_DIMENSIONS = 65_536

# OpenAI's limits for one request.
_MAX_INPUTS = 2048
_MAX_TOKENS = 300_000
_MAX_INPUT_TOKENS = 8192

_WORD = re.compile(r"\w+")
# A word that two texts share counts more than a part of one.
_WORD_WEIGHT, _PART_WEIGHT = 1.0, 0.3


async def create_embeddings(exchange: Exchange) -> web.StreamResponse:
    body = exchange.json_object()
    model = checks.required_string(body, "model")
    exchange.state.models.get(model)
    compact = checks.choice(body, "encoding_format", ("float", "base64")) == "base64"
    dimensions = _read_dimensions(body, model)
    inputs = _read_inputs(body)
    counts = [len(item) if isinstance(item, list) else count_tokens(item) for item in inputs]
    _check_sizes(counts)
    data = await asyncio.to_thread(
        lambda: [
            {"object": "embedding", "index": index, "embedding": _sent(item, dimensions, compact)}
            for index, item in enumerate(inputs)
        ]
    )
    usage = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
    exchange.settle(usage)
    return json_response({"object": "list", "data": data, "model": model, "usage": usage})


def _sent(item: str | list[int], dimensions: int, compact: bool) -> str | list[float]:
    vector = embed(item, dimensions)
    if not compact:
        return vector.tolist()
    if sys.byteorder == "big":
        vector.byteswap()
    return base64.b64encode(vector).decode()


def embed(item: str | list[int], dimensions: int) -> "array[float]":
    """The vector of a text or of tokens, of length 1."""
    numbers: dict[int, float] = {}
    for feature, weight in _features(item):
        seed = zlib.crc32(feature.encode("utf-8", "surrogatepass"))
        place = (seed >> 1) % dimensions
        # With random signs, features that share a position by chance do not always add up.
        numbers[place] = numbers.get(place, 0.0) + (weight if seed & 1 else -weight)
    length = math.sqrt(sum(number * number for number in numbers.values()))
    vector = array("f", bytes(4 * dimensions))
    if length == 0:  # they have cancelled each other out
        numbers, length = {0: 1.0}, 1.0
    for place, number in numbers.items():
        vector[place] = number / length
    return vector


def _features(item: str | list[int]) -> Iterator[tuple[str, float]]:
    if isinstance(item, list):
        words = [str(token) for token in item]
    else:
        text = item.casefold()
        words = _WORD.findall(text) or [text]
    for word, count in Counter(words).items():
        # A word that is repeated ten times does not count ten times as much.
        often = math.sqrt(count)
        yield word, _WORD_WEIGHT * often
        if not isinstance(item, list):
            padded = f"^{word}$"
            for start in range(len(padded) - 2):
                yield padded[start : start + 3] + "…", _PART_WEIGHT * often


def _read_dimensions(body: Mapping[str, Any], model: str) -> int:
    usual = _DIMENSIONS.get(model, _USUAL_DIMENSIONS)
    dimensions = checks.integer(body, "dimensions", 1, _MAX_DIMENSIONS)
    if dimensions is not None and model == _FIXED:
        raise invalid("This model does not support specifying dimensions.", "dimensions")
    return dimensions or usual


def _read_inputs(body: Mapping[str, Any]) -> list[str | list[int]]:
    value = body.get("input")
    if value is None:
        raise checks.missing("input")
    inputs = value if isinstance(value, list) and not _is_tokens(value) else [value]
    if not inputs or not (
        all(isinstance(item, str) and item for item in inputs) or all(map(_is_tokens, inputs))
    ):
        raise invalid(f"'$.input' is invalid: {shown(value)}.", "input", "invalid_value")
    if len(inputs) > _MAX_INPUTS:
        msg = f"Invalid 'input': array too long. Expected at most {_MAX_INPUTS} items."
        raise invalid(msg, "input", "array_above_max_length")
    return inputs


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def _check_sizes(counts: list[int]) -> None:
    for place, count in enumerate(counts):
        if count > _MAX_INPUT_TOKENS:
            msg = (
                f"Invalid 'input[{place}]': maximum input length is {_MAX_INPUT_TOKENS} tokens, "
                f"but it has {count}."
            )
            raise invalid(msg, "input", "string_above_max_length")
    if sum(counts) > _MAX_TOKENS:
        msg = f"Requested {sum(counts)} tokens, max {_MAX_TOKENS} tokens per request."
        raise invalid(msg, "input", "max_tokens_per_request")
