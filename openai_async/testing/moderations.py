"""Moderation by a list of words: each flags its categories, and all other text is harmless.

Pictures are ignored.
"""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ..jsontext import shown
from . import checks
from .exchange import Exchange
from .responses import invalid, json_response
from .tokens import count_tokens

_WORDS = {
    "harassment": ("idiot", "stupid"),
    "harassment/threatening": ("threaten",),
    "hate": ("hate",),
    "hate/threatening": ("exterminate",),
    "illicit": ("bomb", "shoplift"),
    "illicit/violent": ("bomb",),
    "self-harm": ("suicide",),
    "self-harm/instructions": (),
    "self-harm/intent": ("suicide",),
    "sexual": ("porn",),
    "sexual/minors": (),
    "violence": ("kill", "murder", "gore"),
    "violence/graphic": ("gore",),
}
# What OpenAI's model also looks for in pictures.
_IN_PICTURES = ("self-harm", "sexual", "violence")
_NOT_IN_PICTURES = ("sexual/minors",)
_FLAGGED, _HARMLESS = 0.95, 0.0001
_WORD = re.compile(r"\w+")


async def create_moderation(exchange: Exchange) -> web.StreamResponse:
    body = exchange.json_object()
    model = "omni-moderation-latest"
    if body.get("model") is not None:
        model = checks.required_string(body, "model")
    exchange.state.models.get(model)
    inputs = _read_inputs(body)
    tokens = sum(count_tokens(text) for text, _ in inputs)
    exchange.settle({"total_tokens": tokens})
    results = [_result(text, kinds) for text, kinds in inputs]
    return json_response({"id": f"modr-{uuid.uuid4().hex}", "model": model, "results": results})


def _result(text: str, kinds: list[str]) -> dict[str, Any]:
    words = {*_WORD.findall(text.casefold())}
    found = {category: not words.isdisjoint(bad) for category, bad in _WORDS.items()}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {
            category: _FLAGGED if is_found else _HARMLESS for category, is_found in found.items()
        },
        "category_applied_input_types": {
            category: [kind for kind in kinds if kind == "text" or _is_in_pictures(category)]
            for category in found
        },
    }


def _is_in_pictures(category: str) -> bool:
    return category.startswith(_IN_PICTURES) and category not in _NOT_IN_PICTURES


def _read_inputs(body: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """For each result: the text, and the kinds of input."""
    value = body.get("input")
    if value is None:
        raise checks.missing("input")
    items = value if isinstance(value, list) else [value]
    if items and all(isinstance(item, str) for item in items):
        return [(text, ["text"]) for text in items]
    if items and items is value and all(isinstance(item, dict) for item in items):
        parts = [_part(part, f"input[{place}]") for place, part in enumerate(items)]
        return [(" ".join(text for _, text in parts), sorted({kind for kind, _ in parts}))]
    raise invalid(f"'$.input' is invalid: {shown(value)}.", "input", "invalid_value")


def _part(part: Mapping[str, Any], param: str) -> tuple[str, str]:
    """What kind of part it is, and its text."""
    image = part.get("image_url")
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return "text", part["text"]
    if part.get("type") == "image_url" and isinstance(image, dict) and image.get("url"):
        return "image", ""
    raise invalid(f"Invalid value: {shown(part)}.", param, "invalid_value")
