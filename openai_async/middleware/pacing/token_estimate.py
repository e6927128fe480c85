"""How many tokens a request will take, before it is sent: from characters and pixels.

It need not be exact: what it is off by is measured with each answer, and the next estimates are
corrected (`Pace.settle`). It has to be quick, and proportional to the truth.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from ...images.format import image_size

# English text has about four characters a token; https://platform.openai.com/tokenizer
CHARACTERS = 4
# Each message's frame, and the start of the answer.
MESSAGE = 4
# An answer whose length nobody bounded.
ANSWER = 256

# What OpenAI documents for pictures: a base, and a price for each tile of 512 pixels after the
# picture was made to fit 2048 x 2048, and its shortest side to be 768.
# https://platform.openai.com/docs/guides/images-vision#calculating-costs
IMAGE_BASE = 85
IMAGE_TILE = 170
TILE = 512
LONGEST_SIDE = 2048
SHORTEST_SIDE = 768
# A picture that is only a URL, and so of unknown size: as one of 1024 x 1024.
UNKNOWN_SIZE = (1024, 1024)
# Characters of a data URL that are looked at for the size; a JPEG's comes after its thumbnail.
HEAD = 64 * 1024
# What any request takes at most: a bound may be any number, and one estimate must not spoil a
# balance of tokens for good.
MOST = 1e9
# Levels of lists and objects that are looked into. Messages have four of them.
DEPTH = 32

_ANSWER_BOUNDS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_TEXTS = ("input", "prompt", "instructions", "documents", "query", "text_1", "text_2")


def estimate_tokens(params: Mapping[str, Any]) -> float:
    """Tokens of a request with these parameters, its answer included: from 0 to `MOST`.

    The answer counts with its bound (`max_completion_tokens`, ...), as it does in OpenAI's limits:
    https://platform.openai.com/docs/guides/rate-limits

    Whatever the parameters are, nothing is raised: the server says what is wrong with them.
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
            # Nearly all are dicts with a string; the ways for the others take five times as long.
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
    return tokens if tokens < MOST else MOST


_LISTS = (list, tuple)


def _positive(value: object) -> int:
    """A whole number above 0, within bounds; 0 for anything else."""
    if not isinstance(value, int) or value is True or value <= 0:
        return 0
    return value if value < MOST else int(MOST)


def _of_tools(tools: object) -> float:
    try:
        return len(str(tools)) / CHARACTERS
    except (RecursionError, ValueError):  # nested without end; a number of 5,000 digits
        return _count(tools)


def _of_object(message: object) -> object:
    if isinstance(message, Mapping):
        return message.get("content")
    return getattr(message, "content", None)  # a ChatCompletionMessage, in a conversation


def _count(value: object, depth: int = DEPTH) -> float:
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
