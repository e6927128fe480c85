"""The tokens of a request: estimated before it is sent, read from its answer afterwards.

The estimate, from characters and pixels, has to be fast, and proportional to the true number. It
need not be exact: answers show by how much it was off, which corrects later ones (`Pace.settle`).
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ...errors import InvalidArgumentError, OpenAIError
from ...images.format import image_size
from ...options import RateLimit

# English text has about four characters a token; https://platform.openai.com/tokenizer
CHARACTERS = 4
# Added for each message: its delimiters, and the start of the answer.
MESSAGE = 4
# An answer without a given bound.
ANSWER = 256

# OpenAI's documented cost of pictures: a base, and a price for each tile of 512 x 512 pixels, after
# scaling the picture to fit into 2048 x 2048 and its shortest side down to 768.
# https://platform.openai.com/docs/guides/images-vision#calculating-costs
IMAGE_BASE = 85
IMAGE_TILE = 170
TILE = 512
LONGEST_SIDE = 2048
SHORTEST_SIDE = 768
# A picture given by its URL has an unknown size: assume 1024 x 1024.
UNKNOWN_SIZE = (1024, 1024)
# Bytes per token: for recordings, at ten tokens a second (between MP3 and WAV); for documents, at
# 50 kB and a thousand tokens a page.
AUDIO_BYTES = 2000
FILE_BYTES = 50
# Characters of a data URL to search for the size, which in a JPEG follows the thumbnail.
HEAD = 64 * 1024
# The largest estimate: a request may bound its answer by any number, and a single estimate must not
# ruin the balance of tokens for good.
MAX_ESTIMATE = 1e9
# Nested lists and objects are searched to this depth. Messages have four levels.
MAX_DEPTH = 32

_ANSWER_BOUNDS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_TEXTS = ("input", "prompt", "instructions", "documents", "query", "text_1", "text_2")
_TOTAL_TOKENS = re.compile(rb'"total_tokens"\s*:\s*(\d{1,12})')


def estimator(limit: RateLimit) -> Callable[[Mapping[str, Any] | None], float]:
    """The limit's own function for estimates, with its results checked, or `estimate_tokens`."""
    return partial(_checked_estimate, limit.estimate_tokens or estimate_tokens)


def _checked_estimate(
    estimate_tokens: Callable[[Mapping[str, Any]], float], params: Mapping[str, Any] | None
) -> float:
    """The estimate for a request with these parameters; 0 without any.

    Raises:
        OpenAIError: the function failed.
        InvalidArgumentError: it returned something other than a number of 0 or more.
    """
    if params is None:
        return 0.0
    try:
        estimate = estimate_tokens(params)
    except OpenAIError:
        raise
    except Exception as error:
        msg = f"The estimate_tokens function failed with {type(error).__name__}: see the cause."
        raise OpenAIError(msg) from error
    try:
        usable = 0 <= estimate < math.inf
    except TypeError:
        usable = False
    if not usable:
        msg = f"estimate_tokens returned {estimate!r}: have it return a number, 0 or more."
        raise InvalidArgumentError(msg)
    return estimate


def estimate_tokens(params: Mapping[str, Any]) -> float:
    """Tokens of a request with these parameters, its answer included: from 0 to `MAX_ESTIMATE`.

    The answer counts as large as it may get (`max_completion_tokens`, ...), as it does for OpenAI:
    https://platform.openai.com/docs/guides/rate-limits

    Invalid parameters raise nothing: the server will report them.
    """
    tokens = 0.0
    answers = 1
    answer = 0
    messages = params.get("messages")
    if messages is not None:
        answer = ANSWER
        if not isinstance(messages, _LISTS):
            messages = ()
        for message in messages:
            # Nearly all are dicts with a string; the general way takes five times as long.
            content = message.get("content") if type(message) is dict else _of_object(message)
            tokens += MESSAGE
            tokens += len(content) / CHARACTERS if type(content) is str else _count(content)
        if (n := params.get("n")) is not None:
            answers = _positive(n) or 1
        if (tools := params.get("tools")) is not None:
            tokens += _of_tools(tools)
    else:
        for name in _TEXTS:
            if (value := params.get(name)) is not None:
                tokens += _count(value)
    for name in _ANSWER_BOUNDS:
        if (value := params.get(name)) is not None and (bound := _positive(value)):
            answer = bound
            break
    tokens += answer * answers
    return tokens if tokens < MAX_ESTIMATE else MAX_ESTIMATE


_LISTS = (list, tuple)
# Types of parts that contain base64, the key it is under, and its bytes per token.
_ENCODED = (("input_audio", "data", AUDIO_BYTES), ("file", "file_data", FILE_BYTES))


def _positive(value: object) -> int:
    """A positive integer, bounded; 0 for anything else."""
    if not isinstance(value, int) or value is True or value <= 0:
        return 0
    return value if value < MAX_ESTIMATE else int(MAX_ESTIMATE)


def _of_tools(tools: object) -> float:
    try:
        return len(str(tools)) / CHARACTERS
    except (RecursionError, ValueError):  # nested too deeply; an integer of 5,000 digits
        return _count(tools)


def _of_object(message: object) -> object:
    if isinstance(message, Mapping):
        return message.get("content")
    return getattr(message, "content", None)  # a ChatCompletionMessage, in a conversation


def _count(value: object, depth: int = MAX_DEPTH) -> float:
    if isinstance(value, str):
        return len(value) / CHARACTERS
    if depth == 0:
        return 0.0
    if isinstance(value, _LISTS):
        if value and isinstance(value[0], int):
            return float(len(value))  # tokens already
        return sum(_count(item, depth - 1) for item in value)
    if isinstance(value, Mapping):
        if (image := value.get("image_url")) is not None:
            return _image(image)
        for kind, data, size in _ENCODED:
            if isinstance(part := value.get(kind), Mapping) and data in part:
                return len(str(part[data])) * 0.75 / size
        return sum(_count(item, depth - 1) for key, item in value.items() if key != "type")
    return 0.0


def _image(image: object) -> float:
    """`{"url", "detail"}`, or the URL itself, as the Responses API has it."""
    url = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(image, Mapping) and image.get("detail") == "low":
        return IMAGE_BASE
    return image_tokens(*(_size(url) if isinstance(url, str) else UNKNOWN_SIZE))


def image_tokens(width: int, height: int) -> int:
    """Tokens of a picture in high detail, by its size in pixels."""
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    scale *= min(1.0, SHORTEST_SIDE / (min(width, height) * scale))
    tiles = math.ceil(width * scale / TILE) * math.ceil(height * scale / TILE)
    return IMAGE_BASE + IMAGE_TILE * tiles


def _size(url: str) -> tuple[int, int]:
    head, _, data = url[:HEAD].partition(";base64,")
    if not head.startswith("data:image/"):
        return UNKNOWN_SIZE
    try:
        size = image_size(base64.b64decode(data[: len(data) // 4 * 4]))
    except ValueError:  # not base64, or not even ASCII
        return UNKNOWN_SIZE
    return size if size is not None and all(size) else UNKNOWN_SIZE


def total_tokens(body: bytes) -> int | None:
    """`usage.total_tokens` of an answer, found without parsing it: that is done once, later."""
    place = body.rfind(b'"total_tokens"')
    while place > 0 and body[place - 1] == ord("\\"):  # quoted in a text that a model wrote
        place = body.rfind(b'"total_tokens"', 0, place)
    found = _TOTAL_TOKENS.match(body, place) if place > 0 else None
    return None if found is None else int(found[1])
