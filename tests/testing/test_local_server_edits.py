"""LocalServer's edits and variations of pictures: what it draws, and what it refuses."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import aiohttp
import pytest
from PIL import Image

from openai_async.testing import LocalServer

pytestmark = pytest.mark.virtual_time

Colour = tuple[int, ...]
RED, GREEN = (255, 0, 0), (0, 255, 0)


def picture(
    colour: Colour = RED, size: tuple[int, int] = (64, 64), kind: str = "PNG", hole: bool = False
) -> bytes:
    """One colour; with a `hole`, the left half is transparent."""
    image = Image.new("RGB" if len(colour) == 3 else "RGBA", size, colour)
    if hole:
        image.putalpha(255)
        image.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


PNG = picture()
MIB = 1024 * 1024


def filled(data: bytes, size: int) -> bytes:
    """The same picture in a file of this many bytes."""
    return data + bytes(size - len(data))


def form(*files: tuple[str, bytes, str], **fields: object) -> aiohttp.FormData:
    data = aiohttp.FormData(default_to_multipart=True)
    for name, value in {"prompt": "An otter", "model": "gpt-image-2", **fields}.items():
        if value is not None:
            data.add_field(name, str(value))
    for name, content, kind in files:
        # A file: aiohttp warns of large bytes.
        data.add_field(name, io.BytesIO(content), filename="x", content_type=kind)
    return data


async def post(
    server: LocalServer, http: aiohttp.ClientSession, data: Any, path: str = "edits"
) -> tuple[int, dict[str, Any]]:
    body = {"json": data} if isinstance(data, dict) else {"data": data}
    async with http.post(f"{server.url}/images/{path}", **body) as response:
        return response.status, await response.json()


def drawn(answer: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"])))


def pixel(image: Image.Image, x: int, y: int) -> Colour:
    found = image.convert("RGB").getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def is_reddish(colour: Colour) -> bool:
    return colour[0] > 150 and colour[0] > 1.5 * max(colour[1:])


async def test_the_picture_shows_through_the_edit(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    fields = {"size": "256x128", "n": 2, "output_format": "webp"}
    status, answer = await post(server, http, form(("image", PNG, "image/png"), **fields))
    assert (status, len(answer["data"])) == (200, 2)
    assert answer["data"][0] != answer["data"][1]
    image = drawn(answer)
    assert (image.format, image.size) == ("WEBP", (256, 128))
    assert is_reddish(pixel(image, 128, 64))
    assert answer["usage"]["input_tokens_details"]["image_tokens"] > 0


async def test_several_pictures_are_side_by_side(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    files = [("image[]", picture(colour), "image/png") for colour in (RED, GREEN)]
    image = drawn((await post(server, http, form(*files)))[1])
    left, right = pixel(image, 256, 512), pixel(image, 768, 512)
    assert is_reddish(left)
    assert right[1] > max(right[0], right[2])


async def test_only_what_the_mask_shows_is_changed(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    files = [("image", PNG, "image/png"), ("mask", picture(hole=True), "image/png")]
    image = drawn((await post(server, http, form(*files)))[1])
    assert pixel(image, 900, 512) == RED
    assert pixel(image, 100, 512) != RED


async def test_markup_is_laid_over_the_first_picture(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    notes = picture(GREEN, hole=True)
    files = [("image", PNG, "image/png"), ("markup", notes, "image/png")]
    image = drawn((await post(server, http, form(*files)))[1])
    right = pixel(image, 900, 512)
    assert right[1] > max(right[0], right[2])
    assert is_reddish(pixel(image, 100, 512))


async def test_an_edit_is_streamed(server: LocalServer, http: aiohttp.ClientSession) -> None:
    data = form(("image", PNG, "image/png"), stream="true", partial_images=1)
    async with http.post(f"{server.url}/images/edits", data=data) as response:
        *events, _ = (await response.text()).split("\n\n")
    payloads = [json.loads(event.partition("data: ")[2]) for event in events]
    assert [payload["type"] for payload in payloads] == [
        "image_edit.partial_image",
        "image_edit.completed",
    ]


async def test_references_come_as_json(server: LocalServer, http: aiohttp.ClientSession) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    body = {"prompt": "An otter", "model": "gpt-image-2", "images": [{"image_url": url}]}
    status, answer = await post(server, http, body)
    assert status == 200
    assert is_reddish(pixel(drawn(answer), 512, 512))
    for reference, code in (
        ({"image_url": "https://x.org/a.png"}, "invalid_image_url"),
        ({"file_id": "file-1", "image_url": url}, "invalid_value"),
        ({}, "invalid_value"),
    ):
        _, answer = await post(server, http, {**body, "images": [reference]})
        assert (answer["error"]["param"], answer["error"]["code"]) == ("images[0]", code)


async def test_a_reference_to_an_svg_is_refused_by_its_media_type(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    svg = base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode()
    url = f"data:image/svg+xml;base64,{svg}"
    body = {"prompt": "An otter", "model": "gpt-image-2", "images": [{"image_url": url}]}
    status, answer = await post(server, http, body)
    assert status == 400
    assert "unsupported mimetype ('image/svg+xml')" in answer["error"]["message"]


async def test_an_svg_is_authored_with_the_model_of_a_nested_field(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    fields = {"output_format": "svg", "svg[model]": "gpt-6.2-sol", "svg[reasoning][effort]": "low"}
    _, answer = await post(server, http, form(("image", PNG, "image/png"), **fields))
    assert answer["svg_usage"]["model"] == "gpt-6.2-sol"
    assert base64.b64decode(answer["data"][0]["b64_json"]).startswith(b"<svg")


JPEG, GIF = picture(kind="JPEG"), picture(kind="GIF")
MASK = picture(hole=True)
OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    ("files", "fields", "param", "code", "said"),
    [
        ([], {}, "image", "missing_required_parameter", "Missing required parameter: 'image'"),
        (
            [("image", PNG, OCTETS)],
            {},
            "image",
            "unsupported_file_mimetype",
            f"unsupported mimetype ('{OCTETS}'). Supported file formats are "
            "'image/jpeg', 'image/png', and 'image/webp'.",
        ),
        (
            [("image[]", PNG, "image/png"), ("image[]", GIF, "image/gif")],
            {},
            "image[1]",
            "unsupported_file_mimetype",
            "Invalid file 'image[1]'",
        ),
        (
            [("image", JPEG, "image/jpeg")],
            {"model": "dall-e-2"},
            "image",
            "unsupported_file_mimetype",
            "Supported file formats are 'image/png'.",
        ),
        ([], {"image": "cat.png"}, "image", "invalid_type", "expected a file, but got a string"),
        (
            [("image", b"\x89PNG\r\n\x1a\nbroken", "image/png")],
            {},
            None,
            "invalid_image_file",
            "Invalid image file or mode for image",
        ),
        (
            [("image", PNG, "image/png"), ("mask", picture(size=(9, 9), hole=True), "image/png")],
            {},
            None,
            "invalid_mask_image_format",
            "mask size does not match image size",
        ),
        (
            [("image", PNG, "image/png"), ("mask", PNG, "image/png")],
            {},
            None,
            "invalid_mask_image_format",
            "no transparent pixels",
        ),
        (
            [("image", PNG, "image/png"), ("mask", JPEG, "image/jpeg")],
            {},
            "mask",
            "unsupported_file_mimetype",
            "'image/png'",
        ),
        (
            [(name, picture(hole=True), "image/png") for name in ("image", "mask", "markup")],
            {},
            "markup",
            "invalid_value",
            "cannot be combined",
        ),
        ([("image[]", PNG, "image/png")] * 17, {}, "image", "array_above_max_length", "at most 16"),
        (
            [("image[]", PNG, "image/png")] * 2,
            {"model": "dall-e-2"},
            "image",
            "invalid_value",
            "Only one image",
        ),
        (
            [("image", picture(size=(9, 8)), "image/png")],
            {"model": "dall-e-2"},
            "image",
            "invalid_image",
            "square",
        ),
        (
            [("image", filled(PNG, 4 * MIB), "image/png")],
            {"model": "dall-e-2"},
            "image",
            "invalid_image",
            "less than 4 MB",
        ),
        (
            [("image", PNG, "image/png"), ("mask", filled(MASK, 4 * MIB), "image/png")],
            {"model": "dall-e-2"},
            None,
            "invalid_mask_image_format",
            "mask must be less than 4 MB",
        ),
        (
            [("image", PNG, "image/png"), ("mask", picture(size=(9, 9), hole=True), "image/png")],
            {"model": "dall-e-2"},
            None,
            "invalid_mask_image_format",
            "mask size does not match image size",
        ),
        (
            [("image", PNG, "image/png")],
            {"model": "dall-e-3"},
            "model",
            "invalid_value",
            "Value must be 'dall-e-2'",
        ),
        ([("image", PNG, "image/png")], {"n": "many"}, "n", "invalid_type", "an integer"),
        ([("image", PNG, "image/png")], {"prompt": None}, "prompt", None, "prompt"),
        (
            [("image", PNG, "image/png"), ("mask", picture(hole=True), "image/png")],
            {"output_format": "gif"},
            "mask",
            "invalid_value",
            "output_format=gif",
        ),
    ],
)
async def test_what_the_api_refuses_is_refused_with_its_messages(
    server: LocalServer,
    http: aiohttp.ClientSession,
    files: list[tuple[str, bytes, str]],
    fields: dict[str, Any],
    param: str | None,
    code: str | None,
    said: str,
) -> None:
    status, answer = await post(server, http, form(*files, **fields))
    error = answer["error"]
    assert (status, error["param"]) == (400, param)
    assert said in error["message"]
    assert code in (None, error["code"])


@pytest.mark.parametrize(
    ("model", "files"),
    [
        ("dall-e-2", {"image": filled(PNG, 4 * MIB - 1), "mask": filled(MASK, 4 * MIB - 1)}),
        ("gpt-image-2", {"image": filled(PNG, 4 * MIB)}),
        ("gpt-image-2", {"image": picture(size=(9, 8)), "mask": picture(size=(9, 8), hole=True)}),
    ],
    ids=["dall-e-2", "large", "not square"],
)
async def test_pictures_within_the_limits_of_the_model_are_edited(
    server: LocalServer, http: aiohttp.ClientSession, model: str, files: dict[str, bytes]
) -> None:
    data = form(*((name, data, "image/png") for name, data in files.items()), model=model)
    status, answer = await post(server, http, data)
    assert (status, len(answer["data"])) == (200, 1)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"image"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b"no part"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nnameless\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"'),
    ],
)
async def test_what_is_not_a_form_is_a_400(
    server: LocalServer, http: aiohttp.ClientSession, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type}
    url = f"{server.url}/images/edits"
    async with http.post(url, data=body, headers=headers) as response:
        assert response.status == 400
        assert "form" in (await response.json())["error"]["message"]


async def test_variations_of_a_picture(server: LocalServer, http: aiohttp.ClientSession) -> None:
    fields = {"n": 2, "size": "256x256", "response_format": "b64_json", "model": None}
    data = form(("image", PNG, "image/png"), **fields)
    _, answer = await post(server, http, data, "variations")
    assert answer["data"][0] != answer["data"][1]
    assert drawn(answer).size == (256, 256)
    assert is_reddish(pixel(drawn(answer), 128, 128))


async def test_only_dall_e_2_draws_variations(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    status, answer = await post(server, http, form(("image", PNG, "image/png")), "variations")
    assert (status, answer["error"]["param"]) == (400, "model")
