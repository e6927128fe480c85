"""Pictures as input, whatever they come as."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from openai_async import InvalidArgumentError, image_part

pytestmark = pytest.mark.virtual_time


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (3, 2)) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


PNG = picture("PNG")


def decoded(part: Any) -> tuple[str, bytes]:
    head, _, data = part["image_url"]["url"].partition(",")
    return head, base64.b64decode(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_the_format_is_told_from_the_bytes_and_not_the_name(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "cat.txt"
    path.write_bytes(picture(kind))
    for source in (path, str(path)):
        assert decoded(await image_part(source)) == (
            f"data:image/{kind.lower()};base64",
            picture(kind),
        )


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
async def test_bytes_and_open_files(wrap: Any) -> None:
    assert decoded(await image_part(wrap(PNG))) == ("data:image/png;base64", PNG)


async def test_a_file_that_gives_little_at_a_time_is_read_to_its_end() -> None:
    class Pipe(io.RawIOBase):
        rest = PNG

        def read(self, size: int = -1, /) -> bytes:
            part, self.rest = self.rest[:7], self.rest[7:]
            return part

    assert decoded(await image_part(Pipe()))[1] == PNG


async def test_an_async_file() -> None:
    class File:
        rest = PNG

        async def read(self, size: int) -> bytes:
            part, self.rest = self.rest[:size], self.rest[size:]
            return part

    assert decoded(await image_part(File()))[1] == PNG


@pytest.mark.parametrize("url", ["https://x.test/cat.png", "HTTP://127.0.0.1:1/a?b=c#d"])
async def test_a_url_is_passed_on_and_not_followed(url: str) -> None:
    assert await image_part(url) == {"type": "image_url", "image_url": {"url": url}}


async def test_a_data_url_is_passed_on() -> None:
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert (await image_part(url))["image_url"]["url"] == url


async def test_a_data_url_gets_the_type_its_bytes_have() -> None:
    data = base64.b64encode(PNG).decode()
    part = await image_part(f"data:image/gif;base64,{data}")
    assert part["image_url"]["url"] == f"data:image/png;base64,{data}"


async def test_detail() -> None:
    assert (await image_part(PNG, detail="low"))["image_url"]["detail"] == "low"
    with pytest.raises(InvalidArgumentError, match="detail"):
        await image_part(PNG, detail="huge")  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "1", "F"])
async def test_a_pil_image_becomes_a_png(mode: str) -> None:
    head, data = decoded(await image_part(Image.new(mode, (3, 2))))
    assert head == "data:image/png;base64"
    assert Image.open(io.BytesIO(data)).size == (3, 2)


async def test_transparency_of_a_pil_image_is_kept() -> None:
    _, data = decoded(await image_part(Image.new("RGBa", (3, 2), (9, 9, 9, 9))))
    assert Image.open(io.BytesIO(data)).mode == "RGBA"


async def test_the_orientation_of_a_photo_is_kept() -> None:
    photo, file = Image.new("RGB", (3, 2)), io.BytesIO()
    photo.getexif()[274] = 6
    photo.save(file, "JPEG", exif=photo.getexif())
    _, data = decoded(await image_part(Image.open(file)))
    assert Image.open(io.BytesIO(data)).getexif()[274] == 6


async def test_a_pil_image_that_was_a_jpeg_stays_one() -> None:
    assert decoded(await image_part(Image.open(io.BytesIO(picture("JPEG")))))[0].startswith(
        "data:image/jpeg"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/cat.png", "There is no file 'no/such/cat.png'"),
        (Path("no/such/cat.png"), "There is no file"),
        (".", "Cannot read '.'"),
        ("a\0b.png", "Cannot read"),
        (__file__, "no PNG, JPEG, GIF or WebP picture"),
        (b"", "These bytes are empty"),
        (b"hello", "These bytes are no PNG"),
        (b"RIFF1234WAVE", "no PNG"),
        (io.BytesIO(b"<svg>"), "The file is no PNG"),
        (io.StringIO("text"), 'mode "rb"'),
        ("data:image/png;base64,%%%", "base64"),
        ("data:text/plain,hello", "data URL"),
        ("data:image/png;base64,aGVsbG8=", "no PNG"),
        ("http://", "no usable URL"),
        ("http://a b/c.png", "no usable URL"),
        (None, "value of type NoneType"),
        (5, "value of type int"),
        ("", "path of the picture is empty"),
        ("file:///etc/hosts", "scheme"),
        ("ftp://x.test/cat.png", "scheme"),
        (Image.new("RGB", (0, 0)), "cannot be encoded"),
        (Image.open(io.BytesIO(picture("JPEG", size=(99, 99))[:-99])), "cannot be encoded"),
    ],
)
async def test_what_is_no_picture_is_named(source: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        await image_part(source)


async def test_a_closed_file() -> None:
    file = io.BytesIO(PNG)
    file.close()
    with pytest.raises(InvalidArgumentError, match="Cannot read the file"):
        await image_part(file)


async def test_an_async_file_that_reads_no_sizes() -> None:
    class File:
        async def read(self) -> bytes:
            return PNG

    with pytest.raises(InvalidArgumentError, match="Cannot read the file"):
        await image_part(File())  # type: ignore[arg-type]


async def test_an_endless_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai_async.vision.MAX_IMAGE_SIZE", 2**20)
    with pytest.raises(InvalidArgumentError, match="larger than 1 MiB"):
        await image_part("/dev/zero")
