"""Estimates of tokens: proportional to what is sent, whatever the encoding of pictures."""

from __future__ import annotations

import base64
import io
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from openai_async import audio_part, file_part, image_part
from openai_async.images.format import image_size
from openai_async.middleware.pacing.token_estimate import (
    ANSWER,
    MAX_ESTIMATE,
    MESSAGE,
    estimate_tokens,
    image_tokens,
)
from openai_async.types.chat import ChatCompletionMessage


def chat(content: Any, **params: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **params}


def picture(format: str, size: tuple[int, int] = (1024, 768), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, format, **options)
    return buffer.getvalue()


def png_head(width: int, height: int) -> str:
    """The beginning of a PNG of this size, in base64."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return base64.b64encode(head).decode()


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def test_four_characters_are_a_token() -> None:
    assert estimate_tokens(chat("x" * 4000)) == 1000 + MESSAGE + ANSWER


def test_parts_of_text_count_as_text() -> None:
    parts = [{"type": "text", "text": "x" * 2000}] * 2
    assert estimate_tokens(chat(parts)) == estimate_tokens(chat("x" * 4000))


async def test_recordings_and_documents_count_by_their_bytes() -> None:
    audio = await audio_part(b"ID3" + bytes(100_000))
    assert estimate_tokens(chat([audio])) == pytest.approx(50 + MESSAGE + ANSWER, abs=1)
    file = await file_part(b"%PDF-" + bytes(100_000))
    assert estimate_tokens(chat([file])) == pytest.approx(2000 + MESSAGE + ANSWER, abs=2)
    uploaded = await file_part("file-1")
    assert estimate_tokens(chat([uploaded])) == pytest.approx(MESSAGE + ANSWER, abs=3)


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
        "data:image/png;base64,aGVsbG8é",
        "data:image/png;base64," + png_head(0, 0),
        "data:image/png;base64," + png_head(0, 5),
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
def test_image_size_is_none_if_it_cannot_be_read(data: bytes) -> None:
    assert image_size(data) is None


# --- whatever is sent ---


@pytest.mark.parametrize("messages", [5, True, 0.5, "hello", {"role": "user"}, []])
def test_invalid_messages_count_as_no_messages(messages: object) -> None:
    assert estimate_tokens({"messages": messages}) == ANSWER


@pytest.mark.parametrize("message", [None, 5, "hello", [], {}, {"content": 5}])
def test_an_invalid_message_counts_as_an_empty_one(message: object) -> None:
    assert estimate_tokens({"messages": [message]}) == MESSAGE + ANSWER


@pytest.mark.parametrize("bound", [True, False, 0, -5, "100", 1e400, [], None])
def test_an_invalid_bound_counts_as_no_bound(bound: object) -> None:
    assert estimate_tokens(chat("", max_tokens=bound)) == MESSAGE + ANSWER
    assert estimate_tokens(chat("", n=bound)) == MESSAGE + ANSWER


@pytest.mark.parametrize("params", [{"max_tokens": 10**400}, {"n": 10**400}, {"n": 2**63}])
def test_no_bound_makes_an_estimate_too_large(params: dict[str, Any]) -> None:
    assert estimate_tokens(chat("", **params)) == MAX_ESTIMATE
    assert estimate_tokens({"input": "", "max_tokens": 10**400}) == MAX_ESTIMATE


def test_endless_nesting_is_searched_to_a_limited_depth() -> None:
    assert estimate_tokens(chat(nested(100_000))) == MESSAGE + ANSWER
    assert estimate_tokens({"input": nested(100_000)}) == 0
    assert estimate_tokens(chat("", tools=nested(100_000))) == MESSAGE + ANSWER


def test_a_tool_may_contain_a_number_of_any_length() -> None:
    assert estimate_tokens(chat("", tools=[{"maximum": 10**5000}])) == MESSAGE + ANSWER


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63])
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=40).map(
        lambda data: "data:image/png;base64," + base64.b64encode(data).decode()
    )
    | st.builds(png_head, st.integers(0, 9), st.integers(0, 2**32 - 1)).map(
        "data:image/png;base64,{}".format
    ),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "image_url", "url", "detail", "type", "text"])
            | st.text(max_size=3),
            values,
            max_size=3,
        )
    ),
    max_leaves=10,
)
names = st.sampled_from(
    ["messages", "n", "tools", "input", "prompt", "max_tokens", "max_completion_tokens", "query"]
)


@given(st.dictionaries(names, json_values, max_size=3))
def test_any_json_has_an_estimate(params: dict[str, Any]) -> None:
    tokens = estimate_tokens(params)
    assert type(tokens) is float
    assert math.isfinite(tokens)
    assert 0 <= tokens <= MAX_ESTIMATE
