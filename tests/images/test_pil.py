"""PIL images of every mode: what a server reads has the colours that they have."""

from __future__ import annotations

import base64
import io
import struct
from typing import Any

import pytest
from PIL import Image

from openai_async import InvalidArgumentError, image_part

pytestmark = pytest.mark.virtual_time

Pixel = Any


def pixels(mode: str, values: list[Pixel]) -> Image.Image:
    image = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)
    return image


def deep(mode: str, order: str = "<") -> Image.Image:
    return Image.frombytes(mode, (4, 1), struct.pack(f"{order}4H", 0, 10000, 30000, 65535))


def palette(transparency: bytes | int | None = None, *, alpha: bool = False) -> Image.Image:
    image = Image.new("P", (2, 1))
    if alpha:
        image.putpalette([255, 0, 0, 0, 0, 0, 255, 255], "RGBA")
    else:
        image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


async def sent(image: Image.Image) -> tuple[str, Image.Image]:
    """The type in the data URL, and the picture that a server finds in it."""
    head, _, data = (await image_part(image))["image_url"]["url"].partition(",")
    return head, Image.open(io.BytesIO(base64.b64decode(data)))


def opened(image: Image.Image, kind: str, **params: Any) -> Image.Image:
    """The image as one that was loaded from a file."""
    file = io.BytesIO()
    image.save(file, kind, **params)
    return Image.open(io.BytesIO(file.getvalue()))


RED_AND_BLUE = [(255, 0, 0, 255), (0, 0, 255, 255)]
TABLE: dict[str, tuple[Image.Image, list[Pixel]]] = {
    "1": (pixels("1", [0, 255]), [(0, 0, 0, 255), (255, 255, 255, 255)]),
    "L": (pixels("L", [0, 100, 255]), [(g, g, g, 255) for g in (0, 100, 255)]),
    "LA": (pixels("LA", [(100, 0), (100, 128)]), [(100, 100, 100, 0), (100, 100, 100, 128)]),
    "La": (pixels("La", [(50, 128), (100, 255)]), [(100, 100, 100, 128), (100, 100, 100, 255)]),
    "P": (palette(), RED_AND_BLUE),
    "P, one colour transparent": (palette(0), [(255, 0, 0, 0), (0, 0, 255, 255)]),
    "P, alphas": (palette(bytes([7, 128])), [(255, 0, 0, 7), (0, 0, 255, 128)]),
    "P of RGBA": (palette(alpha=True), [(255, 0, 0, 0), (0, 0, 255, 255)]),
    "PA": (palette().convert("PA"), RED_AND_BLUE),
    "RGB": (pixels("RGB", [(1, 2, 3)]), [(1, 2, 3, 255)]),
    "RGBA": (pixels("RGBA", [(1, 2, 3, 4)]), [(1, 2, 3, 4)]),
    "RGBa": (pixels("RGBa", [(50, 0, 25, 128)]), [(100, 0, 50, 128)]),
    "RGBX": (pixels("RGBX", [(1, 2, 3, 0)]), [(1, 2, 3, 255)]),
    "CMYK": (pixels("CMYK", [(0, 255, 255, 0), (255, 255, 0, 0)]), RED_AND_BLUE),
    "YCbCr": (pixels("YCbCr", [(76, 85, 255), (29, 255, 107)]), RED_AND_BLUE),
    "HSV": (pixels("HSV", [(0, 255, 255), (170, 255, 255)]), RED_AND_BLUE),
    "I like 8 bits": (pixels("I", [0, 100, 255]), [(g, g, g, 255) for g in (0, 100, 255)]),
    "I like 16 bits": (
        pixels("I", [0, 10000, 30000, 65535]),
        [(g, g, g, 255) for g in (0, 39, 117, 255)],
    ),
    "F to 1": (pixels("F", [0.0, 0.2, 0.5, 1.0]), [(g, g, g, 255) for g in (0, 51, 128, 255)]),
    "F to 255": (pixels("F", [0.0, 99.6, 255.0]), [(g, g, g, 255) for g in (0, 100, 255)]),
    "F to 65535": (pixels("F", [0.0, 10000.0, 65535.0]), [(g, g, g, 255) for g in (0, 39, 255)]),
    "black I": (pixels("I", [0]), [(0, 0, 0, 255)]),
    "I;16": (deep("I;16"), [(g, g, g, 255) for g in (0, 39, 117, 255)]),
    "I;16L": (deep("I;16L"), [(g, g, g, 255) for g in (0, 39, 117, 255)]),
    "I;16B": (deep("I;16B", ">"), [(g, g, g, 255) for g in (0, 39, 117, 255)]),
    "I;16N": (deep("I;16N", "="), [(g, g, g, 255) for g in (0, 39, 117, 255)]),
    "dark I;16": (pixels("I;16", [0, 257]), [(0, 0, 0, 255), (1, 1, 1, 255)]),
}


@pytest.mark.parametrize("mode", TABLE)
async def test_every_mode_keeps_its_colours(mode: str) -> None:
    image, colours = TABLE[mode]
    head, back = await sent(image)
    assert head == "data:image/png;base64"
    # As servers read it: by Pillow, which cuts off what is deeper than 8 bits.
    read = back.convert("RGBA")
    got = [read.getpixel((x, 0)) for x in range(read.width)]
    assert [close(*pair) for pair in zip(got, colours, strict=True)] == [True] * len(colours), got


@pytest.mark.parametrize("mode", [mode for mode in TABLE if mode[:1] in "IF"] + ["dark I;16"])
async def test_deep_greys_are_rounded(mode: str) -> None:
    image, colours = TABLE[mode]
    _, back = await sent(image)
    got = [back.getpixel((x, 0)) for x in range(back.width)]
    assert got == [colour[0] for colour in colours]


def close(one: Any, other: Any) -> bool:
    """The same, but for the rounding between colour models."""
    return all(abs(a - b) <= 2 for a, b in zip(one, other, strict=True))


async def test_converting_a_premultiplied_image_does_not_change_the_original() -> None:
    image = pixels("La", [(50, 128)])
    await sent(image)
    assert image.mode == "La"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("LAB", (1, 1)), "mode LAB, .*: convert it to RGB first"),
        (pixels("I", [-1, 5]), "mode I and values from -1 to 5: scale them to the range 0 to 255"),
        (pixels("I", [0, 70000]), "mode I and values from 0 to 70000"),
        (pixels("F", [-0.5, 0.5]), "mode F and values from -0.5 to 0.5"),
        (pixels("F", [0.0, 1e9]), "mode F and values from 0 to 1e"),
        (pixels("F", [float("nan")]), "mode F and values from nan to nan"),
    ],
)
async def test_values_that_mean_no_colour_are_refused(image: Image.Image, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        await image_part(image)


# --- JPEG ---------------------------------------------------------------------------------------


def noise(mode: str = "RGB") -> Image.Image:
    return Image.effect_noise((40, 30), 60).convert(mode)


async def test_the_photo_of_a_phone_is_sent_as_the_jpeg_it_is() -> None:
    photo = opened(noise(), "MPO", save_all=True, append_images=[noise()])
    assert photo.format == "MPO"
    head, back = await sent(photo)
    assert (head, back.size) == ("data:image/jpeg;base64", (40, 30))
    file = io.BytesIO()
    noise().save(file, "MPO", save_all=True, append_images=[noise()])
    part = await image_part(file.getvalue())
    assert base64.b64decode(part["image_url"]["url"].partition(",")[2]) == file.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
async def test_an_image_loaded_from_a_jpeg_is_sent_as_jpeg(mode: str) -> None:
    head, back = await sent(opened(noise(mode), "JPEG"))
    assert (head, back.mode) == ("data:image/jpeg;base64", "L" if mode == "L" else "RGB")


async def test_a_jpeg_that_was_made_transparent_is_sent_so() -> None:
    photo = opened(noise(), "JPEG")
    photo.putalpha(7)
    assert photo.format == "JPEG"
    head, back = await sent(photo)
    assert (head, back.getextrema()[-1]) == ("data:image/png;base64", (7, 7))


async def test_a_transparent_16_bit_grey_is_not_an_8_bit_grey() -> None:
    image = pixels("I;16", [0, 117])
    image.info["transparency"] = 117
    _, back = await sent(image)
    assert back.mode == "L"
    assert "transparency" not in back.info
    assert image.info["transparency"] == 117


async def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    photo = opened(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    _, back = await sent(photo)
    assert close(back.getpixel((4, 4)), (254, 0, 0))


# --- colour profiles ----------------------------------------------------------------------------


def profile(space: str) -> bytes:
    return b"\0\0\x02\x0cADBE\x02\x10\0\0prtr" + space.encode().ljust(4) + b"Lab " + bytes(500)


@pytest.mark.parametrize(
    ("mode", "kind", "space", "kept"),
    [
        ("RGB", "PNG", "RGB", True),
        ("RGBA", "PNG", "RGB", True),
        ("P", "PNG", "RGB", True),
        ("L", "PNG", "GRAY", True),
        ("LA", "PNG", "GRAY", True),
        ("RGB", "JPEG", "RGB", True),
        ("L", "JPEG", "GRAY", True),
        ("CMYK", "JPEG", "CMYK", False),
        ("CMYK", "TIFF", "CMYK", False),
        ("RGB", "JPEG", "CMYK", False),
        ("L", "PNG", "RGB", False),
        ("RGB", "PNG", "GRAY", False),
    ],
)
async def test_a_profile_is_kept_where_it_fits_the_colours(
    mode: str, kind: str, space: str, kept: bool
) -> None:
    photo = opened(Image.new(mode, (4, 4)), kind, icc_profile=profile(space))
    assert photo.info["icc_profile"] == profile(space)
    _, back = await sent(photo)
    assert back.info.get("icc_profile") == (profile(space) if kept else None)


@pytest.mark.parametrize("broken", ["text", b"short", 5])
async def test_an_invalid_profile_does_not_fail_the_picture(broken: Any) -> None:
    image = Image.new("RGB", (4, 4))
    image.info["icc_profile"] = broken
    _, back = await sent(image)
    assert "icc_profile" not in back.info


# --- EXIF ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "MPO"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
async def test_the_orientation_of_a_photo_is_sent(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    _, back = await sent(opened(noise(), kind, exif=exif))
    assert back.getexif().get(0x0112) == orientation


async def test_the_rest_of_the_exif_is_not_sent() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    _, back = await sent(opened(noise(), "JPEG", exif=exif))
    assert dict(back.getexif()) == {0x0112: 6}


@pytest.mark.parametrize("orientation", [0, 1, 9, "6", None])
async def test_an_orientation_that_says_nothing_is_left_out(orientation: Any) -> None:
    image = noise()
    if orientation is not None:
        image.getexif()[0x0112] = orientation
    _, back = await sent(image)
    assert dict(back.getexif()) == {}


async def test_exif_that_cannot_be_read_does_not_fail_the_picture() -> None:
    image = noise()
    image.info["exif"] = b"Exif\0\0nonsense"
    _, back = await sent(image)
    assert back.size == (40, 30)


async def test_exif_that_cannot_be_written_leaves_the_orientation() -> None:
    image = noise()
    image.getexif()[0x0112] = 6
    image.getexif()[0x9C9B] = "\ud800"
    image.getexif()[0x927C] = b"x" * 100_000  # more than a JPEG's segment holds
    image.format = "JPEG"
    head, back = await sent(image)
    assert head == "data:image/jpeg;base64"
    assert dict(back.getexif()) == {0x0112: 6}


async def test_an_image_that_was_turned_upright_stays_upright() -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = 6
    upright = ImageOps.exif_transpose(opened(noise(), "JPEG", exif=exif))
    _, back = await sent(upright)
    assert (back.size, dict(back.getexif())) == ((30, 40), {})
