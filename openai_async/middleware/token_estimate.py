"""How many tokens a request will take, before it is sent: from characters and pixels.

It need not be exact: what it is off by is measured with each answer, and the next estimates are
corrected (`Pace.settle`). It has to be quick, and proportional to the truth.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

from ..types.image_format import image_size

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

_ANSWER_BOUNDS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_TEXTS = ("input", "prompt", "instructions", "documents", "query", "text_1", "text_2")


def estimate_tokens(params: Mapping[str, Any]) -> float:
    """Tokens of a request with these parameters, its answer included.

    The answer counts with its bound (`max_completion_tokens`, ...), as it does in OpenAI's limits:
    https://platform.openai.com/docs/guides/rate-limits
    """
    tokens = 0.0
    messages = params.get("messages")
    answers = 1
    if messages is not None:
        tokens += ANSWER
        for message in messages:
            # Nearly all are dicts with a string; the ways for the others take five times as long.
            content = message.get("content") if type(message) is dict else _of_object(message)
            tokens += MESSAGE
            tokens += len(content) / CHARACTERS if type(content) is str else _count(content)
        n = params.get("n")
        answers = n if isinstance(n, int) and n > 0 else 1
        if (tools := params.get("tools")) is not None:
            tokens += len(str(tools)) / CHARACTERS
    else:
        for name in _TEXTS:
            if (value := params.get(name)) is not None:
                tokens += _count(value)
    for name in _ANSWER_BOUNDS:
        bound = params.get(name)
        if isinstance(bound, int) and bound > 0:
            return tokens - (ANSWER if messages is not None else 0) + bound * answers
    return tokens + (ANSWER * (answers - 1) if messages is not None else 0)


def _of_object(message: object) -> object:
    if isinstance(message, Mapping):
        return message.get("content")
    return getattr(message, "content", None)  # a ChatCompletionMessage, in a conversation


def _count(value: object) -> float:
    if isinstance(value, str):
        return len(value) / CHARACTERS
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], int):
            return float(len(value))  # tokens already
        return sum(map(_count, value))
    if isinstance(value, Mapping):
        if (image := value.get("image_url")) is not None:
            return _image(image)
        return sum(_count(item) for key, item in value.items() if key != "type")
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
        return image_size(base64.b64decode(data[: len(data) // 4 * 4])) or UNKNOWN_SIZE
    except binascii.Error:
        return UNKNOWN_SIZE
