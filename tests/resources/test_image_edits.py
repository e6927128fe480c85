"""`client.images.edit` and `client.images.create_variation`.

The names of public reports stand beside what they are about, such as openai-node#1468.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from PIL import Image

from openai_async import (
    AsyncClient,
    BadRequestError,
    InvalidArgumentError,
    StreamInterruptedError,
)
from openai_async.http.multipart import CHUNK
from openai_async.options import REQUEST_OPTIONS
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.testing.forms import FormPart, form_fields, parse_form
from openai_async.types.image_events import ImageEditCompletedEvent, ImageEditPartialImageEvent
from openai_async.types.image_params import ImageCreateVariationParams, ImageEditParams
from openai_async.types.images import Image as GeneratedImage

from ..raw_server import Exchange, RawServer

pytestmark = pytest.mark.virtual_time


def picture(
    kind: str = "PNG", size: tuple[int, int] = (8, 8), mode: str = "RGB", pad: int = 0
) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue() + bytes(pad)


PNG, JPEG, WEBP = picture(), picture("JPEG"), picture("WEBP")
MASK = picture(mode="RGBA")
DRAWN = {"data": [{"b64_json": base64.b64encode(PNG).decode()}]}


def sent(server: LocalServer) -> list[FormPart]:
    request = server.requests[-1]
    return parse_form(request.headers["Content-Type"], request.body)


def files(server: LocalServer) -> list[tuple[str, str | None, str, bytes]]:
    return [
        (part.name, part.filename, part.content_type, part.data)
        for part in sent(server)
        if part.filename is not None
    ]


async def edit(client: AsyncClient, image: Any, **params: Any) -> Any:
    params = {"model": "gpt-image-2", "prompt": "An otter", **params}
    return await client.images.edit(image=image, stream=None, **params)


# --- pictures in any form, with their right media type -------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"), [(PNG, "png"), (JPEG, "jpeg"), (WEBP, "webp")], ids=["png", "jpeg", "webp"]
)
@pytest.mark.parametrize("source", ["bytes", "BytesIO", "path", "str", "file", "data URL", "tuple"])
async def test_the_media_type_is_that_of_the_bytes(
    client: AsyncClient, server: LocalServer, tmp_path: Path, data: bytes, kind: str, source: str
) -> None:
    """openai-python#2341 (bytes), openai-node#1468, go-openai#967, openai-ruby#147 (JPEG), and
    genblaze#253 (a suffix that says nothing): they all became application/octet-stream."""
    path = tmp_path / "cat.img"
    path.write_bytes(data)
    with path.open("rb") as file:
        sources: dict[str, Any] = {
            "bytes": data,
            "BytesIO": io.BytesIO(data),
            "path": path,
            "str": str(path),
            "file": file,
            "data URL": f"data:image/x;base64,{base64.b64encode(data).decode()}",
            "tuple": ("cat.img", data),
        }
        images = await edit(client, sources[source])
    assert await images.data[0].read()
    named = source in ("path", "str", "file", "tuple")
    name = "cat.img" if named else f"image.{kind}"
    assert files(server) == [("image", name, f"image/{kind}", data)]


async def test_a_tuple_says_name_media_type_and_headers(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply(json=DRAWN))
    await edit(client, ("a.new", b"a format of tomorrow", "image/new", {"X-A": "1"}))
    assert files(server) == [("image", "a.new", "image/new", b"a format of tomorrow")]
    assert b"X-A: 1\r\n" in server.requests[0].body


async def test_a_pil_image_is_encoded(client: AsyncClient, server: LocalServer) -> None:
    """pixeltable#1202 had to give a BytesIO a name first."""
    await edit(client, Image.new("RGBA", (8, 8)), mask=Image.new("RGBA", (8, 8)))
    assert [file[:3] for file in files(server)] == [
        ("image", "image.png", "image/png"),
        ("mask", "mask.png", "image/png"),
    ]


@pytest.mark.parametrize("field", ["image", "mask"])
async def test_an_open_file_is_read_while_it_is_sent(
    client: AsyncClient, server: LocalServer, field: str
) -> None:
    class Watched(io.BytesIO):
        largest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.largest = max(self.largest, 2**63 if size is None or size < 0 else size)
            return super().read(size)

    data = picture(pad=2_000_000)
    file = Watched(b"before" + data)
    file.seek(6)
    server.script(Reply(json=DRAWN))
    await edit(client, **{"image": PNG, field: file})
    assert files(server)[-1] == (field, f"{field}.png", "image/png", data)
    assert file.largest <= CHUNK
    assert not file.closed


async def test_an_open_file_that_has_been_read_is_refused(
    client: AsyncClient, server: LocalServer
) -> None:
    file = io.BytesIO(PNG)
    file.read()
    with pytest.raises(InvalidArgumentError, match=r"read to its end: call seek\(0\) on it first"):
        await edit(client, file)
    file.close()
    with pytest.raises(InvalidArgumentError, match="image is a closed file: pass its path"):
        await edit(client, file)
    assert server.requests == []


async def test_an_async_file_is_read(client: AsyncClient, server: LocalServer) -> None:
    class AsyncFile(io.BytesIO):
        name = "/there/cat.png"

        async def read(self, size: int = -1, /) -> bytes:  # type: ignore[override]
            return super().read(size)

    await edit(client, AsyncFile(PNG))
    assert files(server) == [("image", "cat.png", "image/png", PNG)]


async def test_the_picture_of_an_answer_is_edited_again(
    client: AsyncClient, server: LocalServer
) -> None:
    first = await edit(client, PNG)
    second = await edit(client, first.data[0])
    assert files(server)[0][3] == await first.data[0].read()
    assert await second.data[0].read()


# --- one picture and several ---------------------------------------------------------------------


@pytest.mark.parametrize("images", [PNG, [PNG], (PNG,)], ids=["bytes", "list", "tuple"])
async def test_one_picture_is_sent_as_image(
    client: AsyncClient, server: LocalServer, images: Any
) -> None:
    """Aquiles-Image#3: a server that knows `image` only; openai-ruby#147: a list of one."""
    await edit(client, images)
    assert [file[0] for file in files(server)] == ["image"]


async def test_several_pictures_keep_their_order(client: AsyncClient, server: LocalServer) -> None:
    """litellm#10314, litellm#17045 and LLMTornado#105: only one of them arrived, or none."""
    result = await edit(client, [PNG, ("b.jpg", JPEG), io.BytesIO(WEBP)], mask=MASK)
    assert [file[:3] for file in files(server)] == [
        ("image[]", "image[0].png", "image/png"),
        ("image[]", "b.jpg", "image/jpeg"),
        ("image[]", "image[2].webp", "image/webp"),
        ("mask", "mask.png", "image/png"),
    ]
    assert result.usage.input_tokens_details.image_tokens > 0


async def test_references_are_sent_as_json(client: AsyncClient, server: LocalServer) -> None:
    server.script(Reply(json=DRAWN), Reply(json=DRAWN))
    url, file = {"image_url": "https://example.org/a.png"}, {"file_id": "file-1"}
    await edit(client, [url, file], mask=file, n=1)
    assert server.requests[0].json == {
        "images": [url, file],
        "mask": file,
        "model": "gpt-image-2",
        "prompt": "An otter",
        "n": 1,
    }
    await edit(client, url)
    assert server.requests[1].json["images"] == [url]


@pytest.mark.parametrize(
    ("image", "mask"), [([{"file_id": "file-1"}, PNG], None), (PNG, {"file_id": "file-1"})]
)
async def test_files_and_references_do_not_mix(client: AsyncClient, image: Any, mask: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="mix files and references: pass only files"):
        await edit(client, image, mask=mask)


# --- the other parameters ------------------------------------------------------------------------

EDIT_PARAMETERS: dict[str, Any] = {
    "prompt": "An otter",
    "model": "gpt-image-2",
    "n": 1,
    "size": "1024x1024",
    "quality": "max",
    "complexity": "high",
    "background": "opaque",
    "response_format": "b64_json",
    "output_format": "webp",
    "output_compression": 90,
    "frame_count": 4,
    "frame_duration_ms": 100,
    "svg": {"model": "gpt-6.2-sol", "reasoning": {"effort": "low"}},
    "partial_images": 0,
    "moderation": "low",
    "safety_identifier": "s",
    "user": "u",
    "input_fidelity": "high",
    "stream": False,
}
FILES = {"image", "mask", "markup"}


async def test_every_parameter_of_edit_is_a_field_of_the_form(
    client: AsyncClient, server: LocalServer
) -> None:
    typed = {*get_type_hints(ImageEditParams), "stream"} - REQUEST_OPTIONS
    assert typed == EDIT_PARAMETERS.keys() | FILES
    server.script(Reply(json=DRAWN))
    await client.images.edit(image=PNG, mask=MASK, markup=MASK, **EDIT_PARAMETERS)
    numbers = ("n", "output_compression", "frame_count", "frame_duration_ms", "partial_images")
    assert form_fields(sent(server), typed=(*numbers, "stream")) == EDIT_PARAMETERS
    assert {file[0] for file in files(server)} == FILES


async def test_every_parameter_of_a_variation_is_a_field_of_the_form(
    client: AsyncClient, server: LocalServer
) -> None:
    params: dict[str, Any] = {
        "model": "dall-e-2",
        "n": 2,
        "size": "256x256",
        "response_format": "url",
        "user": "u",
    }
    assert {*get_type_hints(ImageCreateVariationParams)} - REQUEST_OPTIONS == {*params, "image"}
    images = await client.images.create_variation(image=PNG, **params)
    assert form_fields(sent(server), typed=("n",)) == params
    assert [image.url is not None for image in images.data] == [True, True]
    assert Image.open(io.BytesIO(await images.data[1].read())).size == (256, 256)


async def test_what_is_none_is_left_out_and_extra_body_is_added(
    client: AsyncClient, server: LocalServer
) -> None:
    await edit(client, PNG, mask=None, size=None, extra_body={"seed": 7})
    assert form_fields(sent(server)) == {"model": "gpt-image-2", "prompt": "An otter", "seed": "7"}
    assert {file[0] for file in files(server)} == {"image"}


# --- streamed ------------------------------------------------------------------------------------


async def test_an_edit_is_streamed(client: AsyncClient, server: LocalServer) -> None:
    """new-api#1234: `partial_images` was lost on the way."""
    stream = client.images.edit(
        model="gpt-image-2", image=PNG, prompt="An otter", partial_images=2, stream=True
    )
    events = [event async for event in stream]
    partial, completed = ImageEditPartialImageEvent, ImageEditCompletedEvent
    assert [type(event) for event in events] == [partial, partial, completed]
    assert [await event.read() for event in events]
    assert form_fields(sent(server))["stream"] == "true"


async def test_nothing_is_sent_before_the_stream_is_opened(
    client: AsyncClient, server: LocalServer
) -> None:
    stream = client.images.edit(
        model="gpt-image-2", image=Path("none.png"), prompt="An otter", stream=True
    )
    assert server.requests == []
    with pytest.raises(InvalidArgumentError, match=r"no file 'none\.png'"):
        await stream


async def test_a_stream_without_its_picture_is_interrupted(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.stream({"type": "image_edit.partial_image", "b64_json": "AAAA"})

    raw.answer = answer
    stream = raw_client.images.edit(image=PNG, prompt="An otter", stream=True)
    with pytest.raises(StreamInterruptedError):
        _ = [event async for event in stream]


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source", [lambda path: path, lambda path: path.read_bytes(), lambda path: path.open("rb")]
)
async def test_the_whole_picture_is_sent_again_by_a_retry(
    client: AsyncClient,
    server: LocalServer,
    tmp_path: Path,
    waits: list[float],
    source: Callable[[Path], Any],
) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    server.script(Failure(503))
    image = source(path)
    await edit(client.with_options(max_retries=1), image)
    if isinstance(image, io.IOBase):
        image.close()
    assert len(server.requests) == 2
    assert files(server) == [("image", files(server)[0][1], "image/png", PNG)]


async def test_what_the_server_refuses_is_its_error(client: AsyncClient) -> None:
    """prism#725: a mask without transparency, or of another size."""
    with pytest.raises(BadRequestError, match="mask size does not match") as caught:
        await edit(client, PNG, mask=picture(size=(4, 4), mode="RGBA"))
    assert caught.value.code == "invalid_mask_image_format"


async def test_a_gif_is_left_to_the_server_to_refuse(client: AsyncClient) -> None:
    """opencode-gpt-imagegen#82: models differ in what they accept."""
    with pytest.raises(BadRequestError, match=r"unsupported mimetype \('image/gif'\)"):
        await edit(client, picture("GIF"))


class Unknown:
    pass


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        ([], "image is an empty list: pass at least one picture"),
        (b"", "image is empty: pass a PNG, JPEG or WebP file"),
        (b"hello, world", "image is not a picture in a known format: pass a PNG"),
        ([PNG, b"hello, world"], r"image\[1\] is not a picture"),
        ("", "image is an empty path"),
        ("none.png", r"image: there is no file 'none\.png'"),
        ("a\0b.png", "image: cannot read"),
        (".", r"image is a directory, '\.'"),
        ("/dev/zero", "image is a device or pipe, '/dev/zero'"),
        ("https://example.org/a.png", 'image is a URL.*pass {"image_url": url}'),
        ("data:image/png;base64,A", "image is a data URL whose base64 is damaged"),
        (Unknown(), "image has type Unknown: pass a path, bytes"),
        (("a.png",), "image is a tuple of length 1"),
        (None, "image has type NoneType"),
        (io.StringIO("text"), "does not return bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_what_is_not_a_picture_is_refused_before_sending(
    client: AsyncClient, server: LocalServer, image: Any, complaint: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=complaint):
        await edit(client, image)
    assert server.requests == []


async def test_a_picture_that_is_too_large_is_refused(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.resources.image_files.MAX_IMAGE_SIZE", 50)
    with pytest.raises(InvalidArgumentError, match="image is larger than"):
        await edit(client, PNG)


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"image": JPEG}, "image is JPEG: dall-e-2 accepts only PNG"),
        ({"image": picture(size=(8, 9))}, "image is 8 x 9 pixels: dall-e-2 accepts only squares"),
        ({"image": picture(pad=4 * 1024 * 1024)}, "bytes: dall-e-2 accepts only files below 4 MB"),
        ({"image": [PNG, PNG]}, "image has 2 pictures: dall-e-2 accepts only one"),
        ({"image": PNG, "mask": JPEG}, "mask is JPEG"),
        ({"image": PNG, "mask": picture(size=(9, 9))}, "mask and image differ in size"),
        ({"image": PNG, "n": 11}, "n is 11: dall-e-2 generates 1 to 10 pictures"),
        ({"image": PNG, "size": "1536x1024"}, "size is '1536x1024': dall-e-2 accepts 256x256"),
        ({"image": PNG, "prompt": " "}, "prompt is empty"),
    ],
)
async def test_what_dall_e_2_does_not_accept_is_refused_before_sending(
    client: AsyncClient, server: LocalServer, params: dict[str, Any], complaint: str
) -> None:
    """openai-node#84: a picture that was not square, and an error that did not say so."""
    with pytest.raises(InvalidArgumentError, match=complaint):
        await edit(client, **{"model": "dall-e-2", **params})
    assert server.requests == []


@pytest.mark.parametrize("model", [None, "dall-e-2"])
async def test_a_variation_needs_a_square_png(
    client: AsyncClient, server: LocalServer, model: str | None
) -> None:
    """openai-node#34, litellm#23073."""
    with pytest.raises(InvalidArgumentError, match="8 x 9 pixels: dall-e-2 accepts only squares"):
        await client.images.create_variation(image=picture(size=(8, 9)), model=model)
    assert server.requests == []


async def test_other_models_have_other_rules(client: AsyncClient, server: LocalServer) -> None:
    server.script(Reply(json=DRAWN), Reply(json=DRAWN))
    await client.images.create_variation(image=JPEG, model="flux", n=50, size="7x7")
    await edit(client, [picture(size=(8, 9))] * 17, model="flux", mask=JPEG, n=50, size="7x7")
    assert len(server.requests) == 2


async def test_mistyped_parameters_are_type_errors(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="did you mean 'image'"):
        client.images.edit(images=[PNG], prompt="x")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'prompt'"):
        client.images.edit(image=PNG)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unexpected keyword argument 'prompt'"):
        await client.images.create_variation(image=PNG, prompt="x")  # type: ignore[call-arg]


def test_the_repr_of_an_event_does_not_show_its_picture() -> None:
    event = ImageEditCompletedEvent(b64_json="A" * 9000)
    assert len(repr(event)) < 300
    assert GeneratedImage(b64_json="A" * 9000).b64_json == event.b64_json
