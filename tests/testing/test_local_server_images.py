"""LocalServer's pictures: those it looks at, and those it draws."""

import base64
import io
import json
import sys
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from openai_async.testing import DEFAULT_MODELS, Failure, LocalServer
from openai_async.testing.picture_store import PictureStore
from openai_async.testing.pictures import colour_name

pytestmark = pytest.mark.virtual_time


def data_url(colour: tuple[int, int, int], size: tuple[int, int], kind: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


async def look(
    server: LocalServer, http: aiohttp.ClientSession, url: str, **details: str
) -> tuple[int, dict[str, Any]]:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url, **details}},
    ]
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]}
    async with http.post(f"{server.url}/chat/completions", json=body) as response:
        return response.status, await response.json()


async def generate(
    server: LocalServer, http: aiohttp.ClientSession, **fields: Any
) -> tuple[int, dict[str, Any]]:
    body = {"prompt": "An otter", **fields}
    async with http.post(f"{server.url}/images/generations", json=body) as response:
        return response.status, await response.json()


def opened(image: dict[str, str]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image["b64_json"])))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
async def test_the_answer_describes_the_picture(
    server: LocalServer, http: aiohttp.ClientSession, kind: str
) -> None:
    _, answer = await look(server, http, data_url((120, 75, 30), (300, 200), kind))
    expected = f"a {kind} picture, 300 x 200 pixels, mostly brown"
    assert expected in answer["choices"][0]["message"]["content"]


async def test_a_picture_costs_tokens_by_its_detail(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    url = data_url((0, 0, 0), (600, 300), "PNG")
    low = (await look(server, http, url, detail="low"))[1]["usage"]["prompt_tokens"]
    high = (await look(server, http, url, detail="high"))[1]["usage"]["prompt_tokens"]
    assert high - low == 340


async def test_the_server_sees_the_pictures_it_has_drawn(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, images = await generate(server, http, size="256x256")
    _, answer = await look(server, http, images["data"][0]["url"])
    assert "PNG picture, 256 x 256" in answer["choices"][0]["message"]["content"]


def bomb() -> str:
    head = b"GIF89a" + (60000).to_bytes(2, "little") * 2 + b"\x00\x00\x00"
    frame = b"," + b"\x00" * 4 + (60000).to_bytes(2, "little") * 2 + b"\x00\x02\x02L\x01\x00;"
    return f"data:image/gif;base64,{base64.b64encode(head + frame).decode()}"


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,!!!",
        "data:image/png;base64,aGVsbG8=",
        "data:image/png,hello",
        data_url((1, 2, 3), (50, 50), "PNG")[:90],
        bomb(),
    ],
)
async def test_a_picture_that_cannot_be_read_is_422(
    server: LocalServer, http: aiohttp.ClientSession, url: str
) -> None:
    status, answer = await look(server, http, url)
    error = answer["error"]
    assert (status, error["code"]) == (422, "invalid_image")
    assert error["param"] == "messages.[0].content.[1].image_url.url"


@pytest.mark.parametrize("url", ["https://example.com/a.png", "file:///etc/passwd"])
async def test_a_url_outside_is_refused(
    server: LocalServer, http: aiohttp.ClientSession, url: str
) -> None:
    status, answer = await look(server, http, url)
    assert status == 400
    assert "no connection to the outside" in answer["error"]["message"]


async def test_without_pillow_the_answer_says_what_to_install(
    server: LocalServer, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = data_url((0, 0, 0), (5, 5), "PNG")
    for module in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, module, None)
    answers = [
        await look(server, http, url),
        await generate(server, http),
        await generate(server, http, model="gpt-image-1", stream=True),
    ]
    for status, answer in answers:
        assert status == 501
        assert "pip install pillow" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((255, 0, 0), "red"),
        ((0, 160, 40), "green"),
        ((20, 40, 220), "blue"),
        ((255, 230, 0), "yellow"),
        ((128, 128, 128), "grey"),
        ((250, 250, 250), "white"),
        ((5, 5, 5), "black"),
    ],
)
def test_colours_have_their_usual_names(rgb: tuple[int, int, int], name: str) -> None:
    assert colour_name(*rgb) == name


async def test_a_drawn_picture_is_served_by_url_without_a_key(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, images = await generate(server, http)
    async with (
        aiohttp.ClientSession() as anonymous,
        anonymous.get(images["data"][0]["url"]) as response,
    ):
        assert response.content_type == "image/png"
        assert Image.open(io.BytesIO(await response.read())).size == (1024, 1024)


async def test_the_same_prompt_gives_the_same_picture(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    fields = {"size": "256x256", "response_format": "b64_json", "n": 2}
    first, second = [(await generate(server, http, **fields))[1]["data"] for _ in range(2)]
    assert first == second
    assert first[0] != first[1]
    _, other = await generate(server, http, **{**fields, "prompt": "A cat"})
    assert other["data"][0] not in first


async def test_dall_e_3_revises_the_prompt(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    fields = {"model": "dall-e-3", "size": "1792x1024", "response_format": "b64_json"}
    _, images = await generate(server, http, quality="hd", style="natural", **fields)
    assert "An otter" in images["data"][0]["revised_prompt"]
    assert opened(images["data"][0]).size == (1792, 1024)


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
async def test_gpt_image_answers_with_base64_and_usage(
    server: LocalServer, http: aiohttp.ClientSession, output_format: str
) -> None:
    _, images = await generate(
        server, http, model="gpt-image-1", size="1024x1536", output_format=output_format
    )
    assert opened(images["data"][0]).format == output_format.upper()
    assert images["usage"]["output_tokens"] == 6240
    assert (images["size"], images["quality"]) == ("1024x1536", "high")


async def test_a_gif_has_the_frames_that_were_asked_for(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    fields = {"size": "256x256", "frame_count": 3, "frame_duration_ms": 120}
    _, images = await generate(server, http, model="gpt-image-2", output_format="gif", **fields)
    picture = opened(images["data"][0])
    assert isinstance(picture, GifImageFile)
    assert (picture.format, picture.size, picture.n_frames) == ("GIF", (256, 256), 3)
    assert picture.info["duration"] == 120


async def test_an_svg_is_text_with_the_prompt_as_its_title(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, images = await generate(
        server,
        http,
        model="gpt-image-2",
        prompt="<An\x00 otter> & a cat",
        output_format="svg",
        size="256x128",
        svg={"model": "gpt-6.2-sol"},
    )
    root = ElementTree.fromstring(base64.b64decode(images["data"][0]["b64_json"]))
    assert (root.tag, root.get("width")) == ("{http://www.w3.org/2000/svg}svg", "256")
    assert root.findtext("{*}title") == "<An otter> & a cat"
    assert images["svg_usage"]["model"] == "gpt-6.2-sol"


@pytest.mark.parametrize("name", ["safety_identifier", "user"])
async def test_the_end_user_is_in_the_answer(
    server: LocalServer, http: aiohttp.ClientSession, name: str
) -> None:
    _, images = await generate(server, http, model="gpt-image-2", size="256x256", **{name: "a1"})
    assert images["safety_identifier"] == "a1"


async def test_a_transparent_background_is_transparent(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, images = await generate(server, http, model="gpt-image-1", background="transparent")
    corner = opened(images["data"][0]).getpixel((0, 0))
    assert isinstance(corner, tuple)
    assert corner[3] < 128


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": "x" * 1001}, "prompt"),
        ({"n": 11}, "n"),
        ({"size": "1x1"}, "size"),
        ({"quality": "hd"}, "quality"),
        ({"style": "vivid"}, "style"),
        ({"stream": True}, "stream"),
        ({"response_format": "png"}, "response_format"),
        ({"model": "gpt-4o"}, "model"),
        ({"model": "dall-e-3", "n": 2}, "n"),
        ({"model": "dall-e-3", "size": "256x256"}, "size"),
        ({"model": "gpt-image-1", "response_format": "url"}, "response_format"),
        ({"model": "gpt-image-1", "size": "256x256"}, "size"),
        ({"model": "gpt-image-1", "quality": "max"}, "quality"),
        ({"model": "gpt-image-2", "quality": "hd"}, "quality"),
        ({"model": "gpt-image-2", "size": "1030x1024"}, "size"),
        ({"model": "gpt-image-2", "size": "3200x1024"}, "size"),
        ({"model": "gpt-image-2", "size": "4096x2160"}, "size"),
        ({"model": "gpt-image-2", "size": "0x0"}, "size"),
        ({"model": "gpt-image-2", "size": "large"}, "size"),
        ({"model": "gpt-image-2", "size": 1024}, "size"),
        ({"model": "gpt-image-1", "partial_images": 1}, "partial_images"),
        ({"model": "gpt-image-2", "complexity": "extreme"}, "complexity"),
        ({"model": "gpt-image-2", "frame_count": 4}, "frame_count"),
        ({"model": "gpt-image-2", "frame_count": 17, "output_format": "gif"}, "frame_count"),
        ({"model": "gpt-image-2", "stream": True, "output_format": "gif"}, "stream"),
        ({"model": "gpt-image-2", "svg": {"model": "x"}}, "svg"),
        ({"model": "gpt-image-2", "svg": "x", "output_format": "svg"}, "svg"),
        ({"model": "gpt-image-2", "svg": {}, "output_format": "svg"}, "model"),
        ({"model": "gpt-image-2", "n": 2, "output_format": "svg"}, "n"),
        ({"model": "dall-e-3", "output_format": "svg"}, "output_format"),
        (
            {"model": "gpt-image-1", "background": "transparent", "output_format": "jpeg"},
            "background",
        ),
    ],
)
async def test_parameters_that_a_model_does_not_support_are_named(
    server: LocalServer, http: aiohttp.ClientSession, fields: dict[str, Any], param: str
) -> None:
    status, answer = await generate(server, http, **fields)
    assert (status, answer["error"]["param"]) == (400, param)


async def test_an_unknown_image_model_is_404(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    status, answer = await generate(server, http, model="dall-e-3-beta")
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


async def test_a_streamed_picture_comes_with_its_partial_images(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    body = {"model": "gpt-image-1", "prompt": "An otter", "stream": True, "partial_images": 2}
    async with http.post(f"{server.url}/images/generations", json=body) as response:
        *events, rest = (await response.text()).split("\n\n")
    assert rest == ""
    names = [event.split("\n")[0].removeprefix("event: ") for event in events]
    partial = "image_generation.partial_image"
    assert names == [partial, partial, "image_generation.completed"]
    payloads = [json.loads(event.split("\n")[1].removeprefix("data: ")) for event in events]
    assert [payload["type"] for payload in payloads] == names
    assert [payload.get("partial_image_index") for payload in payloads] == [0, 1, None]
    assert payloads[2]["usage"]["total_tokens"] > 0
    assert len({payload["b64_json"] for payload in payloads}) == 3
    assert opened(payloads[2]).size == (1024, 1024)


async def test_a_streamed_picture_can_be_cut(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Failure(cut_after=1))
    body = {"model": "gpt-image-1", "prompt": "An otter", "stream": True, "partial_images": 3}
    async with http.post(f"{server.url}/images/generations", json=body) as response:
        assert await response.content.readuntil(b"\n") == b"event: image_generation.partial_image\n"
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.readuntil(b"event: ")


def test_the_store_keeps_only_the_latest_pictures() -> None:
    store = PictureStore(capacity=2)
    names = [store.put(bytes([number]), "png") for number in range(3)]
    assert [store.get(name) is not None for name in names] == [False, True, True]


@pytest.mark.parametrize(("extension", "kind"), [("webp", "image/webp"), ("svg", "image/svg+xml")])
def test_a_stored_picture_has_its_media_type(extension: str, kind: str) -> None:
    store = PictureStore()
    assert store.get(store.put(b"picture", extension)) == (b"picture", kind)


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, (1024, 1024)),
        ({"size": "auto"}, (1024, 1024)),
        ({"size": "1536x864", "quality": "max"}, (1536, 864)),
        ({"size": "512x512", "quality": "xhigh"}, (512, 512)),
    ],
)
@pytest.mark.parametrize("model", ["gpt-image-2", "gpt-image-2.5-flare", "my-own"])
async def test_models_of_today_draw_in_any_size(
    http: aiohttp.ClientSession, model: str, fields: dict[str, Any], size: tuple[int, int]
) -> None:
    async with LocalServer(models=[*DEFAULT_MODELS, "my-own"]) as server:
        status, answer = await generate(server, http, model=model, **fields)
    assert (status, opened(answer["data"][0]).size) == (200, size)
    assert answer["usage"]["output_tokens"] > 0
