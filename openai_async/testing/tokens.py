"""Splits text into tokens and counts them: plausible and fast, without a vocabulary."""

import math
import re
import zlib
from collections.abc import Iterable
from typing import Any

# A word keeps its leading space, as in byte-pair vocabularies; long words are split.
_PIECE = re.compile(r"\s?\w{1,7}|\s?[^\w\s]{1,4}|\s{1,8}")

# What OpenAI documents for pictures: a base, and a price for each tile of 512 x 512 pixels.
_IMAGE_BASE = 85
_IMAGE_TILE = 170
_TILE = 512
_LONGEST_SIDE = 2048
_SHORTEST_SIDE = 768

MESSAGE_TOKENS = 3


def tokenize(text: str) -> list[str]:
    """The tokens of `text`, at most 8 characters each; joined, they are `text` again."""
    return _PIECE.findall(text)


def count_tokens(text: str) -> int:
    return len(tokenize(text))


def image_tokens(width: int, height: int, detail: str) -> int:
    """The price of a picture in tokens; `auto` is charged as `high`."""
    if detail == "low":
        return _IMAGE_BASE
    scale = min(1.0, _LONGEST_SIDE / max(width, height))
    width, height = math.ceil(width * scale), math.ceil(height * scale)
    scale = min(1.0, _SHORTEST_SIDE / min(width, height))
    across, down = math.ceil(width * scale / _TILE), math.ceil(height * scale / _TILE)
    return _IMAGE_BASE + _IMAGE_TILE * across * down


def token_logprobs(tokens: Iterable[str], first: int, top: int) -> list[dict[str, Any]]:
    """Log probabilities derived from the token and its position: the same in every run."""
    return [_token_logprob(token, place, top) for place, token in enumerate(tokens, first)]


def _token_logprob(token: str, place: int, top: int) -> dict[str, Any]:
    seed = zlib.crc32(f"{place}:{token}".encode())
    likely = -(seed % 900 + 1) / 1000
    candidates = [_candidate(token, likely)]
    for rank in range(1, top):
        # Less likely with each rank, and distinguished by length.
        other = f"{token}{'~' * rank}"
        candidates.append(_candidate(other, round(likely - rank - (seed >> rank) % 100 / 100, 4)))
    return {**_candidate(token, likely), "top_logprobs": candidates[:top]}


def _candidate(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
