"""`client.images`, and the pictures it returns."""

from __future__ import annotations

import asyncio
import base64
import copy
import io
import os
import pickle
import threading
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from PIL import Image

from openai_async import (
    APIConnectionError,
    APIResponseValidationError,
    AsyncClient,
    InvalidArgumentError,
    NotFoundError,
    OpenAIError,
    Request,
    Response,
    Send,
    StreamInterruptedError,
)
from openai_async.images.saving import NewFile
from openai_async.options import REQUEST_OPTIONS
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.types.image_events import ImageGenCompletedEvent, ImageGenPartialImageEvent
from openai_async.types.image_params import ImageGenerateParams
from openai_async.types.images import Downloader, ImagesResponse
from openai_async.types.images import Image as GeneratedImage

from ..raw_server import Exchange, RawServer

pytestmark = pytest.mark.virtual_time

ALL_PARAMETERS: dict[str, Any] = {
    "prompt": "An otter",
    "model": "gpt-image-1",
    "n": 1,
    "size": "1024x1024",
    "quality": "high",
    "style": "vivid",
    "response_format": "b64_json",
    "output_format": "png",
    "output_compression": 90,
    "complexity": "medium",
    "frame_count": 4,
    "frame_duration_ms": 100,
    "svg": {"model": "gpt-6.2-sol", "reasoning": {"effort": "low"}},
    "partial_images": 0,
    "moderation": "low",
    "background": "opaque",
    "safety_identifier": "s",
    "user": "u",
    "stream": False,
}

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


async def generate(client: AsyncClient, **params: Any) -> ImagesResponse:
    params = {"prompt": "An otter", "model": "dall-e-2", "size": "256x256"} | params
    return await client.images.generate(stream=None, **params)


def size_of(data: bytes) -> tuple[str | None, tuple[int, int]]:
    image = Image.open(io.BytesIO(data))
    return image.format, image.size


# --- generating ---------------------------------------------------------------------------------


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
async def test_a_picture_comes_as_url_or_base64(client: AsyncClient, response_format: str) -> None:
    result = await generate(client, response_format=response_format)
    assert (result.data[0].url is None) == (response_format == "b64_json")
    assert size_of(await result.data[0].read()) == ("PNG", (256, 256))


async def test_the_revised_prompt(client: AsyncClient) -> None:
    result = await generate(client, model="dall-e-3", size="1792x1024")
    assert result.data[0].revised_prompt
    assert size_of(await result.data[0].read())[1] == (1792, 1024)


def test_the_19_parameters_are_typed() -> None:
    typed = {*get_type_hints(ImageGenerateParams), "stream"} - REQUEST_OPTIONS
    assert typed == ALL_PARAMETERS.keys()
    assert len(typed) == 19


async def test_every_parameter_is_sent_as_it_is(client: AsyncClient, server: LocalServer) -> None:
    server.script(Reply(json={"created": 1, "data": []}))
    await client.images.generate(**ALL_PARAMETERS)
    assert server.requests[0].json == ALL_PARAMETERS


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        (
            {"model": "dall-e-3", "n": 2, "size": None},
            "n is 2: dall-e-3 generates 1 picture per request",
        ),
        ({"model": "dall-e-3", "n": 0, "size": None}, "n is 0"),
        (
            {"model": "dall-e-3", "size": "256x256"},
            "size is '256x256': dall-e-3 accepts 1024x1024, 1792x1024",
        ),
        ({"model": "dall-e-3", "size": None, "quality": "high"}, "quality is 'high'"),
        ({"model": "dall-e-3", "size": None, "style": "odd"}, "style is 'odd'"),
        ({"model": "dall-e-2", "n": 11}, "n is 11: dall-e-2 generates 1 to 10 pictures"),
        ({"model": "dall-e-2", "n": True}, "n is True"),
        ({"model": "dall-e-2", "size": "1792x1024"}, "size is"),
        (
            {"model": "dall-e-2", "quality": "hd"},
            "quality is 'hd': dall-e-2 accepts standard, auto",
        ),
        ({"model": "dall-e-3", "size": None, "quality": "xhigh"}, "quality is 'xhigh'"),
        ({"model": "dall-e-3", "size": None, "style": "auto"}, "style is 'auto'"),
        ({"model": "dall-e-2", "style": "vivid"}, "dall-e-2 does not accept style"),
        ({"prompt": " "}, "prompt is empty"),
        ({"prompt": None}, "prompt is empty"),
    ],
)
async def test_values_that_the_model_does_not_support_are_refused_before_sending(
    client: AsyncClient, server: LocalServer, params: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=complaint):
        await generate(client, **params)
    assert server.requests == []


@pytest.mark.parametrize("wrong", [{"prompt": " "}, {"n": float("nan")}], ids=str)
async def test_parameters_are_checked_when_generate_is_called(
    client: AsyncClient, wrong: dict[str, Any]
) -> None:
    params: Any = {"model": "gpt-image-2", "prompt": "An otter", **wrong}
    with pytest.raises(InvalidArgumentError):
        client.images.generate(**params)


async def test_nulls_are_the_servers_defaults(client: AsyncClient, server: LocalServer) -> None:
    server.script(Reply(json={"data": []}))
    await generate(client, model="dall-e-3", n=None, size=None, quality=None, style=None)
    assert server.requests[0].json["n"] is None


@pytest.mark.parametrize(
    "params",
    [
        {"model": "dall-e-2", "quality": "standard"},
        {"model": "dall-e-2", "quality": "auto", "size": "auto"},
        {"model": "dall-e-3", "quality": "auto", "size": "auto"},
        {"model": "dall-e-3-hd", "n": 4, "size": "7x7", "quality": "ultra"},
        {"model": "gpt-image-2", "quality": "xhigh", "size": "1536x864"},
        {"model": "gpt-image-2", "quality": "max", "output_format": "avif"},
        {"model": "gpt-image-9", "background": "green", "moderation": "off"},
        {"model": "flux", "n": 50, "size": "7x7", "quality": "hd", "style": "natural"},
        {"model": None, "n": 50, "quality": "hd"},
    ],
)
async def test_what_the_reference_allows_or_does_not_know_is_sent(
    client: AsyncClient, server: LocalServer, params: dict[str, Any]
) -> None:
    server.script(Reply(json={"data": []}))
    await generate(client, **params)
    assert params.items() <= server.requests[0].json.items()


async def test_an_unknown_keyword_is_named(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="'promt': did you mean 'prompt'"):
        await client.images.generate(promt="x")  # type: ignore[call-overload]


# --- reading and saving -------------------------------------------------------------------------


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
async def test_save(client: AsyncClient, tmp_path: Path, response_format: str) -> None:
    image = (await generate(client, response_format=response_format)).data[0]
    path = await image.save(tmp_path / "otter.png")
    assert path.read_bytes() == await image.read()
    assert [file.name for file in tmp_path.iterdir()] == ["otter.png"]


async def test_save_replaces_a_file(client: AsyncClient, tmp_path: Path) -> None:
    target = tmp_path / "otter.png"
    target.write_text("old")
    await (await generate(client)).data[0].save(str(target))
    assert size_of(target.read_bytes())[0] == "PNG"


async def test_a_target_that_cannot_be_is_refused_before_the_download(
    client: AsyncClient, server: LocalServer, tmp_path: Path
) -> None:
    image = (await generate(client)).data[0]
    with pytest.raises(InvalidArgumentError, match="is a directory"):
        await image.save(tmp_path)
    with pytest.raises(InvalidArgumentError, match="no directory"):
        await image.save(tmp_path / "none" / "otter.png")
    assert len(server.requests) == 1


@pytest.mark.parametrize("path", [None, 5, b"x.png", "", "a\0b.png", "x" * 5000, io.BytesIO()])
async def test_an_argument_that_is_not_a_path_is_refused(path: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="path"):
        await GeneratedImage(b64_json=PIXEL).save(path)


async def test_a_device_or_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidArgumentError, match="device or pipe"):
        await GeneratedImage(b64_json=PIXEL).save(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


async def test_a_symbolic_link_is_followed_and_a_mode_is_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "real.png", tmp_path / "link.png"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    await GeneratedImage(b64_json=PIXEL).save(link)
    assert link.is_symlink()
    assert target.read_bytes() == base64.b64decode(PIXEL)
    assert target.stat().st_mode & 0o777 == 0o600


async def test_a_name_as_long_as_a_name_may_be(tmp_path: Path) -> None:
    assert (await GeneratedImage(b64_json=PIXEL).save(tmp_path / ("x" * 255))).exists()


async def test_a_cancelled_save_does_not_replace_the_file_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "otter.png"
    target.write_text("old")
    writing, go_on, done = threading.Event(), threading.Event(), threading.Event()
    write = NewFile.write

    def slow(*args: Any) -> None:
        writing.set()
        go_on.wait(20)
        write(*args)
        done.set()

    monkeypatch.setattr(NewFile, "write", slow)
    saving = asyncio.create_task(GeneratedImage(b64_json=PIXEL).save(target))
    await asyncio.to_thread(writing.wait)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    go_on.set()
    await asyncio.to_thread(done.wait)
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["otter.png"]


async def test_a_download_that_fails_leaves_nothing_on_disk(
    client: AsyncClient, tmp_path: Path
) -> None:
    image = GeneratedImage(url=f"{client.base_url}/files/none.png")
    image._download = Downloader(client._download)
    with pytest.raises(NotFoundError):
        await image.save(tmp_path / "otter.png")
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_cannot_be_written_leaves_nothing_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OpenAIError, match="Cannot write .*: No space left on device"):
        await GeneratedImage(b64_json=PIXEL).save(tmp_path / "otter.png")
    assert list(tmp_path.iterdir()) == []


async def test_a_download_sends_no_key_and_none_of_the_default_headers(raw: RawServer) -> None:
    async with (
        LocalServer() as server,
        AsyncClient(
            base_url=server.url,
            api_key="sk-test-0123456789",
            organization="org-1",
            default_headers={"api-key": "secret"},
        ) as client,
    ):
        raw.answer = lambda e: e.whole(base64.b64decode(PIXEL), content_type="image/png")
        server.script(Reply(json={"data": [{"url": f"{raw.url}/x.png?sig=a%2Fb"}]}))
        image = (await generate(client)).data[0]
        assert size_of(await image.read())[1] == (1, 1)
    (download,) = raw.exchanges
    assert download.head.startswith("GET /v1/x.png?sig=a%2Fb ")
    assert not {"authorization", "api-key", "openai-organization"} & download.headers.keys()


async def test_a_download_follows_redirects(raw: RawServer, raw_client: AsyncClient) -> None:
    async with LocalServer() as server:
        client = raw_client.with_options(base_url=server.url)
        image = (await generate(client)).data[0]
        location = image.url
        raw.answer = lambda e: e.send(
            f"HTTP/1.1 302 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        image.url = f"{raw.url}/there"
        assert size_of(await image.read())[0] == "PNG"


async def test_a_download_is_retried(
    raw: RawServer, raw_client: AsyncClient, waits: list[float]
) -> None:
    async def answer(exchange: Exchange) -> None:
        failed = len(raw.exchanges) == 1
        picture = base64.b64decode(PIXEL)
        await exchange.whole(picture, status="500 Oops" if failed else "200 OK")

    raw.answer = answer
    image = GeneratedImage(url=f"{raw.url}/x.png")
    image._download = Downloader(raw_client.with_options(max_retries=1)._download)
    assert await image.read() == base64.b64decode(PIXEL)


async def test_a_download_is_bounded(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai_async.resources.base_client.MAX_DOWNLOAD", 100)
    image = (await generate(client)).data[0]
    with pytest.raises(APIResponseValidationError, match="larger than 100 bytes"):
        await image.read()
    (pool,) = client._transport._pools._pools.values()
    assert pool.streams == set()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "/x.png", "javascript:x"])
async def test_only_http_is_downloaded(client: AsyncClient, server: LocalServer, url: str) -> None:
    server.script(Reply(json={"data": [{"url": url}]}))
    image = (await generate(client)).data[0]
    with pytest.raises(APIResponseValidationError, match=r"not an http\(s\) URL"):
        await image.read()


async def test_invalid_base64(client: AsyncClient, server: LocalServer) -> None:
    server.script(Reply(json={"data": [{"b64_json": "%%%"}, {}]}))
    result = await generate(client)
    for image, complaint in zip(
        result.data, ["not base64", "neither b64_json nor url"], strict=True
    ):
        with pytest.raises(APIResponseValidationError, match=complaint):
            await image.read()


async def test_pictures_survive_copying_and_pickling(client: AsyncClient) -> None:
    result = await generate(client)
    for twin in (copy.copy(result), copy.deepcopy(result)):
        assert twin == result
        assert await twin.data[0].read()
    sent_elsewhere = pickle.loads(pickle.dumps(result))
    assert sent_elsewhere == result
    with pytest.raises(OpenAIError, match="no client"):
        await sent_elsewhere.data[0].read()


# --- saving all -----------------------------------------------------------------------------------


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
async def test_save_all_numbers_the_pictures(
    client: AsyncClient, server: LocalServer, tmp_path: Path, response_format: str
) -> None:
    images = await generate(client, n=3, response_format=response_format)
    paths = await images.save_all(tmp_path, stem="otter")
    assert paths == [tmp_path / f"otter-{number}.png" for number in (1, 2, 3)]
    assert [path.read_bytes() for path in paths] == [await image.read() for image in images.data]
    assert sorted(tmp_path.iterdir()) == paths
    # Each is downloaded once to be saved, and once more by the `read()` of this test.
    assert len(server.requests) == (7 if response_format == "url" else 1)


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (base64.b64decode(PIXEL), "image-1.png"),
        (b"\xff\xd8\xff" + bytes(30), "image-1.jpg"),
        (b"GIF89a" + bytes(30), "image-1.gif"),
        (b"RIFF0000WEBP" + bytes(30), "image-1.webp"),
        (SVG, "image-1.svg"),
        (bytes(30), "image-1"),
    ],
    ids=["png", "jpeg", "gif", "webp", "svg", "unknown"],
)
async def test_save_all_names_a_picture_by_its_bytes_whatever_the_answer_says(
    tmp_path: Path, data: bytes, name: str
) -> None:
    picture = GeneratedImage(b64_json=base64.b64encode(data).decode())
    (path,) = await ImagesResponse(data=[picture], output_format="webp").save_all(tmp_path)
    assert (path.name, path.read_bytes()) == (name, data)


async def test_save_all_saves_the_others_if_a_picture_is_damaged(tmp_path: Path) -> None:
    pictures = [GeneratedImage(b64_json=text) for text in ("%%%", PIXEL)]
    with pytest.raises(APIResponseValidationError, match="not base64"):
        await ImagesResponse(data=pictures).save_all(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["image-2.png"]


async def test_save_all_of_no_picture_writes_nothing(tmp_path: Path) -> None:
    assert await ImagesResponse().save_all(tmp_path) == []


@pytest.mark.parametrize(
    ("directory", "stem", "complaint"),
    [
        (None, "image", "directory is None: pass the path"),
        ("", "image", "directory is ''"),
        ("none", "image", "There is no directory .*none"),
        ("a\0b", "image", "not a valid path"),
        (".", "../otter", "stem is '../otter'"),
        (".", "", "stem is ''"),
        (".", None, "stem is None"),
        (".", "a/", "stem is 'a/'"),
    ],
)
async def test_save_all_refuses_a_wrong_target_before_it_downloads(
    client: AsyncClient,
    server: LocalServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    directory: Any,
    stem: Any,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    images = await generate(client)
    with pytest.raises(InvalidArgumentError, match=complaint):
        await images.save_all(directory, stem)
    assert len(server.requests) == 1


# --- in a notebook ------------------------------------------------------------------------------


async def test_a_notebook_shows_the_picture() -> None:
    bundle = GeneratedImage(b64_json=PIXEL)._repr_mimebundle_()
    assert bundle is not None
    assert bundle["image/png"] == PIXEL


async def test_a_notebook_shows_a_url_as_an_image_and_quotes_it() -> None:
    bundle = GeneratedImage(url='http://x/?a&"b')._repr_mimebundle_()
    assert bundle is not None
    assert bundle["text/html"] == '<img src="http://x/?a&amp;&quot;b">'


async def test_a_notebook_shows_an_svg_without_running_its_scripts() -> None:
    bundle = GeneratedImage(b64_json=base64.b64encode(SVG).decode())._repr_mimebundle_()
    assert bundle is not None
    assert bundle.keys() == {"text/html", "text/plain"}
    assert bundle["text/html"].startswith('<img src="data:image/svg+xml;base64,PD94')


async def test_a_response_shows_its_first_picture(client: AsyncClient) -> None:
    result = await generate(client, response_format="b64_json")
    assert result._repr_mimebundle_() == result.data[0]._repr_mimebundle_()
    assert ImagesResponse()._repr_mimebundle_() is None


def test_the_repr_of_a_picture_is_short() -> None:
    assert len(repr(GeneratedImage(b64_json=PIXEL * 1000))) < 120


# --- streamed -----------------------------------------------------------------------------------


async def test_a_picture_as_it_is_drawn(client: AsyncClient, tmp_path: Path) -> None:
    events = [
        event
        async for event in client.images.generate(
            model="gpt-image-1", prompt="An otter", partial_images=2, stream=True
        )
    ]
    assert [type(event) for event in events] == [
        ImageGenPartialImageEvent,
        ImageGenPartialImageEvent,
        ImageGenCompletedEvent,
    ]
    assert size_of((await events[-1].save(tmp_path / "x.png")).read_bytes())[0] == "PNG"


async def test_pictures_of_the_first_answer_do_not_count_when_a_middleware_sends_again(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def twice(request: Request, send: Send) -> Response:
        await send(request)
        return await send(request)

    async def answer(exchange: Exchange) -> None:
        kind = "partial_image" if len(raw.exchanges) > 1 else "completed"
        await exchange.stream({"type": f"image_generation.{kind}", "b64_json": PIXEL})

    raw.answer = answer
    stream = raw_client.with_options(middlewares=[twice]).images.generate(
        model="gpt-image-1", prompt="An otter", stream=True
    )
    with pytest.raises(StreamInterruptedError):
        _ = [event async for event in stream]


async def test_a_truncated_stream_of_pictures(client: AsyncClient, server: LocalServer) -> None:
    server.script(Failure(cut_after=1))
    stream = client.images.generate(
        model="gpt-image-1", prompt="An otter", partial_images=2, stream=True
    )
    with pytest.raises(APIConnectionError):
        _ = [event async for event in stream]
