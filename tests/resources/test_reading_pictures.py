"""How a generated picture is read, whatever form the server sent it in."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image as PILImage

from openai_async import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OpenAIError,
    PermissionDeniedError,
)
from openai_async.types.image_events import ImageGenCompletedEvent
from openai_async.types.images import Image
from openai_async.vision import image_format

from ..raw_server import Exchange, RawServer

pytestmark = pytest.mark.virtual_time

KEY = "sk-test-0123456789"
AVIF = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\xa7" * 30
UNKNOWN = b"\x0e\xf3new" + bytes(range(128, 190))

Handler = Callable[[Exchange], Awaitable[None]]


def png() -> bytes:
    buffer = io.BytesIO()
    # Noise: its base64 has both characters that the alphabet for URLs spells otherwise.
    PILImage.effect_noise((24, 24), 99).save(buffer, "PNG")
    return buffer.getvalue()


PNG = png()
while not {"+", "/"} <= {*base64.b64encode(PNG).decode()} or len(PNG) % 3 == 0:
    PNG = png()
TEXT = base64.b64encode(PNG).decode()


async def drawn(raw: RawServer, item: dict[str, Any], other: Handler | None = None) -> Image:
    """A picture that has been read; `other` answers all requests but the one that generates."""

    async def answer(exchange: Exchange) -> None:
        if exchange.head.startswith("POST /v1/images/generations "):
            await exchange.whole(msgspec.json.encode({"created": 1, "data": [item]}))
        else:
            assert other is not None
            await other(exchange)

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key=KEY, max_retries=0) as client:
        image = (await client.images.generate(model="m", prompt="x")).data[0]
        await image.read()
    return image


# --- base64 as people write it ------------------------------------------------------------------

SPELLINGS = {
    "plain": TEXT,
    "a head": "data:image/png;base64," + TEXT,
    "a head with the wrong type": "data:image/jpg;base64," + TEXT,
    "a head with a charset": "data:image/png;charset=utf-8;base64," + TEXT,
    "a head in capitals": "DATA:IMAGE/PNG;BASE64," + TEXT,
    "a head without a type": "data:;base64," + TEXT,
    "a head without data:": "image/png;base64," + TEXT,
    "a head and a space": " data:image/png;base64, " + TEXT,
    "lines": "\r\n".join(textwrap.wrap(TEXT, 76)) + "\r\n",
    "a head and lines": "data:image/png;base64,\n" + "\n".join(textwrap.wrap(TEXT, 64)),
    "spaces": " ".join(textwrap.wrap(TEXT, 100)),
    "no padding": TEXT.rstrip("="),
    "the alphabet for URLs": TEXT.translate(str.maketrans("+/", "-_")),
    "that alphabet without padding": TEXT.translate(str.maketrans("+/", "-_")).rstrip("="),
    "percent signs": "data:image/png;base64," + TEXT.replace("+", "%2B").replace("=", "%3D"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("field", ["b64_json", "url"])
async def test_base64_is_read_however_it_is_written(field: str, spelling: str) -> None:
    image = Image()
    setattr(image, field, SPELLINGS[spelling])
    assert image.format == "png"
    assert await image.read() == PNG


@pytest.mark.parametrize("cut", range(12))
def test_percent_signs_do_not_hide_the_format(cut: int) -> None:
    escaped = "".join(f"%{byte:02X}" for byte in base64.b64encode(PNG * 4))
    assert Image(url=f"data:image/png;name={'x' * cut};base64,{escaped}").format == "png"


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_streamed_picture_is_read_the_same_way(spelling: str) -> None:
    assert await ImageGenCompletedEvent(b64_json=SPELLINGS[spelling]).read() == PNG


async def test_a_data_url_need_not_be_base64() -> None:
    image = Image(url="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E")
    assert await image.read() == b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    assert image.format == "svg"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_notebook_gets_plain_base64(spelling: str) -> None:
    bundle = Image(b64_json=SPELLINGS[spelling])._repr_mimebundle_()
    assert bundle is not None
    assert bundle["image/png"] == TEXT


def test_a_notebook_gets_no_format_that_it_cannot_show() -> None:
    assert Image(b64_json=base64.b64encode(AVIF).decode())._repr_mimebundle_() is None


def test_the_repr_of_a_picture_in_a_data_url_is_short() -> None:
    assert len(repr(Image(url="data:image/png;base64," + "A" * 5000))) < 120


# --- empty and damaged fields -------------------------------------------------------------------


@pytest.mark.parametrize("empty", ["", " ", "\n", None])
async def test_an_empty_b64_json_does_not_hide_the_url(raw: RawServer, empty: Any) -> None:
    item = {"b64_json": empty, "url": f"{raw.url}/x.png"}
    image = await drawn(raw, item, lambda e: e.whole(PNG))
    assert image.format == "png"


@pytest.mark.parametrize("empty", ["", " ", None])
async def test_an_empty_url_next_to_b64_json_is_ignored(raw: RawServer, empty: Any) -> None:
    image = await drawn(raw, {"url": empty, "b64_json": TEXT})
    assert await image.read() == PNG


@pytest.mark.parametrize("damaged", ["%%%", TEXT[:-10] + "!", "null", "None"])
async def test_a_damaged_b64_json_leaves_the_url(raw: RawServer, damaged: str) -> None:
    item = {"b64_json": damaged, "url": f"{raw.url}/x.png"}
    await drawn(raw, item, lambda e: e.whole(PNG))
    assert len(raw.exchanges) == 2


async def test_a_link_in_b64_json_is_followed(raw: RawServer) -> None:
    image = await drawn(raw, {"b64_json": f"{raw.url}/x.png"}, lambda e: e.whole(PNG))
    assert image.format == "png"


@pytest.mark.parametrize(
    "item", [{"b64_json": ""}, {"url": ""}, {"b64_json": "", "url": " "}, {"b64_json": None}]
)
async def test_two_empty_fields_are_an_error_of_one_sentence(
    raw: RawServer, item: dict[str, Any]
) -> None:
    with pytest.raises(APIResponseValidationError, match=r"^This picture has neither [^.]*\.$"):
        await drawn(raw, item)


@pytest.mark.parametrize(
    "url",
    ["/images/generated/cats/of/2026/11", "generatedcatof20261125abcdefgh1234", "file:///x.png"],
)
async def test_a_path_that_looks_like_base64_is_not_a_picture(raw: RawServer, url: str) -> None:
    with pytest.raises(APIResponseValidationError, match=r"not an http\(s\) URL"):
        await drawn(raw, {"url": url})


# --- not a picture ------------------------------------------------------------------------------

NO_PICTURES: dict[str, tuple[bytes, str]] = {
    "XML": (b"<?xml version='1.0'?><Error><Code>NoSuchBucket</Code></Error>", "NoSuchBucket"),
    "XML without a declaration": (b"<Error><Code>Expired</Code></Error>", "Expired"),
    "a page": (b"<!doctype html><title>Sign in</title><p>x", "Sign in"),
    "a page after empty lines": (b"\r\n \n<html><title>Sign in</title></html>", "Sign in"),
    "a page with a byte order mark": (b"\xef\xbb\xbf<html><title>Sign in</title>", "Sign in"),
    "a page in UTF-16": ("<html><title>Sign in</title>".encode("utf-16"), "Sign in"),
    "a page in Latin-1": ("<html><title>Schlüssel</title>".encode("latin-1"), "Schl"),
    "a page with an SVG in it": (b"<html><title>Sign in</title><svg/></html>", "Sign in"),
    "JSON": (b'{"error": {"message": "The picture is gone"}}', "The picture is gone"),
    "JSON in a list": (b'[{"message": "The picture is gone"}]', "The picture is gone"),
    "plain words": (b"upstream connect error or disconnect", "upstream connect error"),
    "plain words of Japan": ("画像がありません".encode() * 200, "画像がありません"),
    "words that begin like a BMP": (b"BM is not a picture, sorry about that", "sorry"),
    "comments without end": (b"<!-->" * 300 + b"<!--" * 300, "text instead"),
    "nothing": (b"", "is empty, but a picture was expected"),
    "blank lines": (b"\r\n" * 40, "is empty, but a picture was expected"),
    "a few bytes": (b"\x9e\xe9\x65", "3 bytes, too few for a picture"),
}


@pytest.mark.parametrize("kind", NO_PICTURES)
async def test_a_download_that_is_not_a_picture_is_an_error_that_quotes_the_server(
    raw: RawServer, kind: str
) -> None:
    body, words = NO_PICTURES[kind]
    with pytest.raises(APIResponseValidationError, match=words):
        # Whatever type the server claims: the bytes decide.
        await drawn(
            raw, {"url": f"{raw.url}/x.png"}, lambda e: e.whole(body, content_type="image/png")
        )


@pytest.mark.parametrize("kind", [kind for kind, (body, _) in NO_PICTURES.items() if body])
async def test_the_same_in_base64(kind: str) -> None:
    body, words = NO_PICTURES[kind]
    with pytest.raises(APIResponseValidationError, match=words):
        await Image(b64_json=base64.b64encode(body).decode()).read()


async def test_nothing_is_saved_if_it_is_not_a_picture(raw: RawServer, tmp_path: Path) -> None:
    image = Image(b64_json=base64.b64encode(b"<html></html>").decode())
    with pytest.raises(APIResponseValidationError):
        await image.save(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [AVIF, UNKNOWN], ids=["AVIF", "a format of next year"])
async def test_a_picture_in_an_unknown_format_is_still_returned(
    raw: RawServer, data: bytes
) -> None:
    image = await drawn(
        raw, {"url": f"{raw.url}/x"}, lambda e: e.whole(data, content_type="text/html")
    )
    assert image.format == image_format(data)
    assert await Image(b64_json=base64.b64encode(data).decode()).read() == data


# --- the format ---------------------------------------------------------------------------------


async def test_the_format_of_a_download_is_known_once_it_is_read(raw: RawServer) -> None:
    buffer = io.BytesIO()
    PILImage.new("RGB", (2, 2)).save(buffer, "JPEG")
    assert Image(url=f"{raw.url}/x.png").format is None
    image = await drawn(raw, {"url": f"{raw.url}/x.png"}, lambda e: e.whole(buffer.getvalue()))
    assert image.format == "jpeg"
    assert "format" not in image.to_dict()


async def test_the_format_is_not_that_of_the_name_it_is_saved_under(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    PILImage.new("RGB", (2, 2)).save(buffer, "WEBP")
    image = Image(b64_json=base64.b64encode(buffer.getvalue()).decode())
    path = await image.save(tmp_path / "cat.png")
    assert path.read_bytes() == buffer.getvalue()
    assert image.format == "webp"


# --- downloads ----------------------------------------------------------------------------------

SIGNED = [
    "/q.png?rscd=inline&rsct=image%2Fpng&se=2024-03-06T02%3A20%3A23Z&sig=nKLl%2B%2FAZ%3D&sp=r",
    "/a%2Etxt~b?Signature=qZ0A2nhi2Xns+PP2g=&k=[1]",
    "/x|y?a={b}&c='d'",
]


@pytest.mark.parametrize("path", SIGNED)
async def test_a_signed_url_is_requested_verbatim(raw: RawServer, path: str) -> None:
    await drawn(raw, {"url": f"http://127.0.0.1:{raw.port}{path}"}, lambda e: e.whole(PNG))
    assert raw.exchanges[1].head.startswith(f"GET {path} HTTP")


@pytest.mark.parametrize("path", SIGNED)
@pytest.mark.parametrize("absolute", [True, False])
async def test_a_redirect_is_followed_as_it_is_spelled(
    raw: RawServer, path: str, absolute: bool
) -> None:
    async def other(exchange: Exchange) -> None:
        if exchange.head.startswith("GET /v1/first"):
            await redirect(exchange, f"http://127.0.0.1:{raw.port}{path}" if absolute else path)
        else:
            await exchange.whole(PNG)

    await drawn(raw, {"url": f"{raw.url}/first"}, other)
    assert raw.exchanges[2].head.startswith(f"GET {path} HTTP")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/a\r\nX-Evil:1", "/aX-Evil:1"),
        ("/a\x01\x7fb", "/a%01%7Fb"),
        ("/a b.png \n", "/a%20b.png"),
        ("/ä", "/%C3%A4"),
    ],
)
async def test_characters_not_allowed_in_a_url_do_not_reach_the_wire(
    raw: RawServer, path: str, asked: str
) -> None:
    url = f" http://127.0.0.1:{raw.port}{path}"
    await drawn(raw, {"url": url}, lambda e: e.whole(PNG))
    assert raw.exchanges[1].head.startswith(f"GET {asked} HTTP/1.1\r\n")
    assert "x-evil" not in raw.exchanges[1].headers


async def redirect(exchange: Exchange, location: str) -> None:
    await exchange.send(
        f"HTTP/1.1 302 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    )


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        ("403 No", b"<?xml version='1.0'?><Error>Expired</Error>", PermissionDeniedError),
        ("404 No", b"<Error><Code>BlobNotFound Expired</Code></Error>", NotFoundError),
        ("401 No", b'{"error": {"message": "Expired"}}', AuthenticationError),
        ("410 Gone", b"Expired", APIStatusError),
        ("400 No", b"Expired", BadRequestError),
    ],
)
@pytest.mark.parametrize("elsewhere", [True, False])
async def test_an_error_of_a_download_says_what_fits_a_download(
    raw: RawServer, status: str, body: bytes, error: type[APIError], elsewhere: bool
) -> None:
    async with RawServer() as cdn:
        cdn.answer = raw_answer = lambda e: e.whole(body, status=status)
        url = (cdn if elsewhere else raw).url + "/x.png"
        with pytest.raises(error, match="Expired") as caught:
            await drawn(raw, {"url": url}, raw_answer)
    for misleading in ("api_key", "model", "base_url"):
        assert misleading not in str(caught.value)
    expired = "The link may have expired, as most do within an hour"
    assert (expired in str(caught.value)) == (not status.startswith("400"))


async def test_a_redirect_that_leads_nowhere_is_not_blamed_on_base_url(raw: RawServer) -> None:
    with pytest.raises(APIStatusError) as caught:
        await drawn(raw, {"url": f"{raw.url}/x"}, lambda e: redirect(e, "ftp://x.test/x.png"))
    assert "base_url" not in str(caught.value)


async def test_a_picture_on_a_dead_server_is_not_blamed_on_base_url(raw: RawServer) -> None:
    with pytest.raises(APIConnectionError, match="Check the picture's url") as caught:
        await drawn(raw, {"url": "http://127.0.0.1:9/x.png"})
    assert "base_url" not in str(caught.value)


# --- the key ------------------------------------------------------------------------------------


def authorizations(server: RawServer) -> list[str | None]:
    gets = [exchange for exchange in server.exchanges if exchange.head.startswith("GET")]
    return [exchange.headers.get("authorization") for exchange in gets]


def guarded(status: str, then: Handler | None = None) -> Handler:
    async def other(exchange: Exchange) -> None:
        if exchange.headers.get("authorization") != f"Bearer {KEY}":
            await exchange.whole(b'{"error": {"message": "A key is required"}}', status=status)
        elif then is not None:
            await then(exchange)
        else:
            await exchange.whole(PNG)

    return other


@pytest.mark.parametrize("status", ["401 No", "403 No"])
async def test_the_key_follows_a_refusal_on_the_origin_of_base_url(
    raw: RawServer, status: str
) -> None:
    await drawn(raw, {"url": f"http://127.0.0.1:{raw.port}/files/x.png"}, guarded(status))
    assert authorizations(raw) == [None, f"Bearer {KEY}"]


async def test_the_key_is_not_sent_where_it_is_not_required(raw: RawServer) -> None:
    await drawn(raw, {"url": f"{raw.url}/x.png"}, lambda e: e.whole(PNG))
    assert authorizations(raw) == [None]


@pytest.mark.parametrize("status", ["400 No", "404 No", "500 No"])
async def test_other_refusals_do_not_bring_the_key(raw: RawServer, status: str) -> None:
    with pytest.raises(APIStatusError):
        await drawn(raw, {"url": f"{raw.url}/x.png"}, guarded(status))
    assert authorizations(raw) == [None]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_another_port_or_host_does_not_get_the_key(raw: RawServer, host: str) -> None:
    async with RawServer() as cdn:
        cdn.answer = guarded("401 No")
        port = cdn.port if host == "127.0.0.1" else raw.port
        with pytest.raises(AuthenticationError):
            await drawn(raw, {"url": f"http://{host}:{port}/x.png"}, guarded("401 No"))
        assert {*authorizations(cdn), *authorizations(raw)} == {None}


async def test_a_url_with_a_password_of_its_own_does_not_get_the_key(raw: RawServer) -> None:
    with pytest.raises(AuthenticationError):
        await drawn(raw, {"url": f"http://a:b@127.0.0.1:{raw.port}/x.png"}, guarded("401 No"))
    assert f"Bearer {KEY}" not in authorizations(raw)


@pytest.mark.parametrize("asked_first", [True, False])
async def test_a_redirect_to_another_origin_is_followed_without_the_key(
    raw: RawServer, asked_first: bool
) -> None:
    async with RawServer() as cdn:
        cdn.answer = lambda e: e.whole(PNG)
        away: Handler = lambda e: redirect(e, f"{cdn.url}/x.png?sig=a%2Fb")  # noqa: E731
        await drawn(raw, {"url": f"{raw.url}/x"}, guarded("401 No", away) if asked_first else away)
        assert authorizations(cdn) == [None]
        assert cdn.exchanges[0].head.startswith("GET /v1/x.png?sig=a%2Fb ")


async def test_a_redirect_that_is_refused_elsewhere_does_not_carry_the_key_there(
    raw: RawServer,
) -> None:
    async with RawServer() as cdn:
        cdn.answer = guarded("403 No")
        with pytest.raises(PermissionDeniedError):
            await drawn(raw, {"url": f"{raw.url}/x"}, lambda e: redirect(e, f"{cdn.url}/x.png"))
        assert {*authorizations(cdn)} == {None}


async def test_a_key_that_is_refused_too_is_the_servers_words(raw: RawServer) -> None:
    with pytest.raises(AuthenticationError, match="A key is required"):
        await drawn(
            raw,
            {"url": f"{raw.url}/x.png"},
            lambda e: e.whole(b'{"error": {"message": "A key is required"}}', status="401 No"),
        )


async def test_a_page_that_repeats_the_key_is_shown_without_it(raw: RawServer) -> None:
    page = f"<html>Hello {KEY}</html>".encode()
    with pytest.raises(APIResponseValidationError) as caught:
        await drawn(raw, {"url": f"{raw.url}/x"}, guarded("401 No", lambda e: e.whole(page)))
    assert KEY not in f"{caught.value} {caught.value.body}"


# --- answers without a picture ------------------------------------------------------------------

FAILURES: dict[str, dict[str, Any]] = {
    "base_resp": {"base_resp": {"status_code": 1026, "status_msg": "unsafe words"}},
    "message": {"message": "unsafe words", "code": "blocked"},
    "msg": {"msg": "unsafe words"},
    "detail": {"detail": "unsafe words"},
    "status": {"status": "failed", "reason": "unsafe words"},
}
NO_DATA: dict[str, dict[str, Any]] = {
    "null": {"data": None},
    "empty": {"data": []},
    "missing": {},
    "nulls": {"data": [None]},
    "empty items": {"data": [{"url": "", "b64_json": ""}]},
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("data", NO_DATA)
async def test_a_failure_does_not_look_like_an_answer(
    raw: RawServer, raw_client: AsyncClient, data: str, failure: str
) -> None:
    answer = {"created": 1} | NO_DATA[data] | FAILURES[failure]
    raw.answer = lambda e: e.whole(msgspec.json.encode(answer))
    with pytest.raises(APIError, match="unsafe words"):
        await raw_client.images.generate(model="m", prompt="x")


async def test_a_failure_instead_of_the_picture(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda e: e.whole(b'{"data": [{"message": "unsafe words"}]}')
    with pytest.raises(APIError, match="unsafe words"):
        await raw_client.images.generate(model="m", prompt="x")


async def test_words_beside_a_picture_do_not_withhold_it(raw: RawServer) -> None:
    async def answer(exchange: Exchange) -> None:
        body = {"data": [{"b64_json": TEXT}], "base_resp": {"status_msg": "ok"}, "message": "done"}
        await exchange.whole(msgspec.json.encode(body))

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key=KEY) as client:
        result = await client.images.generate(model="m", prompt="x")
    assert await result.data[0].read() == PNG
    assert result.extra["message"] == "done"


async def test_a_failure_that_repeats_the_key_is_shown_without_it(raw: RawServer) -> None:
    raw.answer = lambda e: e.whole(f'{{"data": [], "message": "no {KEY}"}}'.encode())
    async with AsyncClient(base_url=raw.url, api_key=KEY, max_retries=0) as client:
        with pytest.raises(OpenAIError) as caught:
            await client.images.generate(model="m", prompt="x")
    assert KEY not in str(caught.value)
