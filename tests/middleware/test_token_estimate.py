"""Estimates of tokens: proportional to what is sent, and blind to how pictures are written down."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from openai_async import image_part
from openai_async.middleware.token_estimate import ANSWER, MESSAGE, estimate_tokens, image_tokens
from openai_async.types.chat import ChatCompletionMessage
from openai_async.types.image_format import image_size


def chat(content: Any, **params: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **params}


def picture(format: str, size: tuple[int, int] = (1024, 768), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, format, **options)
    return buffer.getvalue()


def test_four_characters_are_a_token() -> None:
    assert estimate_tokens(chat("x" * 4000)) == 1000 + MESSAGE + ANSWER


def test_parts_of_text_count_as_text() -> None:
    parts = [{"type": "text", "text": "x" * 2000}] * 2
    assert estimate_tokens(chat(parts)) == estimate_tokens(chat("x" * 4000))


def test_an_answer_counts_as_long_as_it_may_be() -> None:
    assert estimate_tokens(chat("", max_completion_tokens=900)) == MESSAGE + 900
    assert estimate_tokens(chat("", max_tokens=900, n=3)) == MESSAGE + 2700


def test_several_answers_count_each() -> None:
    assert estimate_tokens(chat("", n=3)) == MESSAGE + 3 * ANSWER


def test_messages_may_be_objects() -> None:
    message = ChatCompletionMessage(role="assistant", content="x" * 400)
    params = {"model": "gpt-4o", "messages": [message]}
    assert estimate_tokens(params) == 100 + MESSAGE + ANSWER


@pytest.mark.parametrize(
    ("params", "tokens"),
    [
        ({"input": "x" * 400}, 100),
        ({"input": ["x" * 200, "x" * 200]}, 100),
        ({"input": [1, 2, 3]}, 3),
        ({"input": [[1, 2, 3], [4]]}, 4),
        ({"prompt": "x" * 400, "max_tokens": 50}, 150),
        ({"input": [{"role": "user", "content": "x" * 400}], "instructions": "x" * 40}, 111),
        ({}, 0),
    ],
)
def test_other_endpoints(params: dict[str, Any], tokens: float) -> None:
    assert estimate_tokens(params) == tokens


# https://platform.openai.com/docs/guides/images-vision#calculating-costs
@pytest.mark.parametrize(
    ("size", "tokens"),
    [((1024, 1024), 765), ((2048, 4096), 1105), ((512, 512), 255), ((4096, 8192), 1105)],
)
def test_a_picture_costs_what_openai_says(size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(*size) == tokens


async def test_a_picture_counts_by_its_pixels_not_by_its_bytes() -> None:
    noise = Image.effect_noise((512, 512), 90)
    part: Any = await image_part(noise)
    assert len(part["image_url"]["url"]) > 100_000
    assert estimate_tokens(chat([part])) == 255 + MESSAGE + ANSWER


async def test_a_picture_in_low_detail_has_one_price() -> None:
    part: Any = await image_part(picture("PNG"), detail="low")
    assert estimate_tokens(chat([part])) == 85 + MESSAGE + ANSWER


@pytest.mark.parametrize(
    "url",
    [
        "https://example.test/cat.png",
        "data:image/png;base64,????",
        "data:image/png;base64,aGVsbG8=",
    ],
)
def test_a_picture_of_unknown_size_counts_as_a_usual_one(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    assert estimate_tokens(chat([part])) == 765 + MESSAGE + ANSWER
    assert estimate_tokens({"input": [{"content": [{"image_url": url}]}]}) == 765


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "exif": b"Exif\0\0" + b"x" * 5000}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0xx"}),
    ],
)
def test_sizes_are_read_from_the_first_bytes(format: str, options: dict[str, Any]) -> None:
    data = picture(format, (640, 97), **options)
    assert image_size(data) == (640, 97)
    assert image_size(data[:20]) in (None, (640, 97))


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff", b"RIFF....WEBPVP8X", b"hello"])
def test_what_has_no_size_has_none(data: bytes) -> None:
    assert image_size(data) is None
