"""What kind of picture some bytes are."""

from __future__ import annotations

import io

import pytest
from PIL import Image, features

from openai_async.vision import image_format


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "ICO"])
def test_what_pillow_writes(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, kind)
    assert image_format(buffer.getvalue()) == kind.lower()


def test_the_photo_of_a_phone_is_a_jpeg() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(
        buffer, "MPO", save_all=True, append_images=[Image.new("RGB", (2, 2))]
    )
    assert image_format(buffer.getvalue()) == "jpeg"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif", "avif"),
        (b"\0\0\0\x1cftypavis\0\0\0\0avifmif1msf1", "avif"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", None),
        (b"\xff\xff\xff\xffftypisom" + bytes(9000), None),
        (b"MM\0*", "tiff"),
        (b"II+\0", "tiff"),
        (b"\xff\x0a", "jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
        (b"<svg/>", "svg"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!DOCTYPE svg>\n<!-- a -->\n<SVG >", "svg"),
        (b"<svgx>", None),
        (b"<html><svg/></html>", None),
        (b"<Error>svg</Error>", None),
        (b"BMW is a brand of cars", None),
        (b"RIFF1234WAVE", None),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_the_format_is_detected_from_the_first_bytes(data: bytes, kind: str | None) -> None:
    assert image_format(data) == kind


def test_a_page_of_comments_does_not_take_forever() -> None:
    assert image_format(b"<!---->" * 200 + b"<p>") is None
