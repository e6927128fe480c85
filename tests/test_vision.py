"""Pictures as input, in every form."""

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
async def test_the_format_is_detected_from_the_bytes_not_the_name(
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


async def test_a_file_that_returns_short_reads_is_read_completely() -> None:
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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/cat.png", "There is no file 'no/such/cat.png'"),
        (Path("no/such/cat.png"), "There is no file"),
        (".", "Cannot read '.'"),
        ("a\0b.png", "Cannot read"),
        (__file__, "not a PNG, JPEG, GIF or WebP picture"),
        (b"", "These bytes are empty"),
        (b"hello", "These bytes are not a PNG"),
        (b"RIFF1234WAVE", "not a PNG"),
        (
            io.BytesIO(b"<svg>"),
            "The file is not a PNG, JPEG, GIF or WebP picture but SVG: render it as",
        ),
        (io.BytesIO(), "The file is empty, or has been read to the end: call seek"),
        (io.StringIO("text"), 'mode "rb"'),
        ("data:image/png;base64,%%%", "base64"),
        ("data:text/plain,hello", "data URL"),
        ("data:image/png;base64,aGVsbG8=", "not a PNG"),
        ("http://", "not a valid URL"),
        ("http://a b/c.png", "not a valid URL"),
        (None, "value of type NoneType"),
        (5, "value of type int"),
        ("", "path of the picture is empty"),
        (
            "file:///etc/hosts",
            "is a file URL: to send .* pass its path.* such as vLLM, write the part",
        ),
        ("ftp://x.test/cat.png", "scheme"),
        (Image.new("RGB", (0, 0)), "cannot be encoded"),
        (Image.open(io.BytesIO(picture("JPEG", size=(99, 99))[:-99])), "cannot be encoded"),
    ],
)
async def test_what_is_not_a_picture_is_named(source: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        await image_part(source)


async def test_a_closed_file() -> None:
    file = io.BytesIO(PNG)
    file.close()
    with pytest.raises(InvalidArgumentError, match="Cannot read the file"):
        await image_part(file)


async def test_a_read_that_takes_no_size_gives_all_at_once() -> None:
    class Answer:
        """Like that of HTTP clients: the same each time."""

        def read(self) -> bytes:
            return PNG

    class AsyncAnswer:
        async def read(self) -> bytes:
            return PNG

    for answer in (Answer(), AsyncAnswer()):
        assert decoded(await image_part(answer))[1] == PNG


async def test_an_already_consumed_file_is_not_sent_as_empty() -> None:
    class AsyncFile(io.BytesIO):
        async def read(self, size: int = -1, /) -> bytes:  # type: ignore[override]
            return super().read(size)

    for file in (io.BytesIO(PNG), AsyncFile(PNG)):
        file.seek(0, io.SEEK_END)
        with pytest.raises(InvalidArgumentError, match=r"read to the end: call seek\(0\) first"):
            await image_part(file)


async def test_a_file_that_is_not_for_reading_says_how_to_open_it(tmp_path: Path) -> None:
    with (
        (tmp_path / "cat.png").open("wb") as file,
        pytest.raises(InvalidArgumentError, match='not open for reading: open it with mode "rb"'),
    ):
        await image_part(file)


async def test_an_endless_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai_async.images.reading.MAX_IMAGE_SIZE", 2**20)
    with pytest.raises(InvalidArgumentError, match="larger than 1 MiB"):
        await image_part("/dev/zero")


# --- pictures as text ---------------------------------------------------------------------------

TEXT = base64.b64encode(PNG).decode()
LONG = base64.b64encode(picture("PNG", size=(5, 5)) + bytes(9000)).decode()
HEADS = [
    "data:image/png;base64,",
    "data:image/jpg;base64,",
    "data:application/octet-stream;base64,",
    "data:image/png;charset=utf-8;name=a.png;base64,",
    "data:;base64,",
    "DATA:IMAGE/PNG;BASE64,",
    "data:image/png; base64, ",
    " data:image/png;base64,\n",
]


@pytest.mark.parametrize("head", HEADS)
async def test_a_sloppy_data_url_is_sent_as_a_proper_one(head: str) -> None:
    for text in (TEXT, TEXT.rstrip("="), base64.encodebytes(PNG).decode()):
        part = await image_part(head + text)
        assert part["image_url"]["url"] == f"data:image/png;base64,{TEXT}"


@pytest.mark.parametrize("text", [TEXT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("spell", ["plain", "lines", "no padding", "for URLs", "bytes", "file"])
async def test_bare_base64_is_sent_as_a_data_url(tmp_path: Path, text: str, spell: str) -> None:
    sources: dict[str, Any] = {
        "plain": text,
        "lines": base64.encodebytes(base64.b64decode(text)).decode(),
        "no padding": text.rstrip("="),
        "for URLs": text.translate(str.maketrans("+/", "-_")),
        "bytes": text.encode(),
        "file": io.BytesIO(f"data:image/png;base64,{text}".encode()),
    }
    part = await image_part(sources[spell])
    assert part["image_url"]["url"] == f"data:image/png;base64,{text}"


async def test_a_file_whose_name_looks_like_base64_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = base64.urlsafe_b64encode(PNG).decode()[:100]
    (tmp_path / name).write_bytes(picture("GIF"))
    assert decoded(await image_part(name))[0] == "data:image/gif;base64"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (base64.b64encode(b"hello" * 2000).decode(), "too long for a path, .* not the base64"),
        (base64.b64encode(b"BM").decode(), "There is no file 'Qk0='"),
        ("Qkpictures/of/animals/cat.bmp", "There is no file 'Qk"),
        ("/9j/cat", "There is no file '/9j/cat'"),
        (base64.b64encode(b"\0\0\0\x18ftypheic" + bytes(40)).decode(), "The base64 text .* HEIC"),
        ("/9j/" + "A" * 40 + "/of/a/cat.jpg", "There is no file '/9j/AAA"),
        ("/9j/" + "!" * 9000, "too long for a path"),
    ],
)
async def test_text_that_is_not_a_picture_is_described(text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        await image_part(text)
    assert len(str(caught.value)) < 350


DAMAGED = {
    "a foreign character": (TEXT[:50] + "!" + TEXT[51:], "'!' at character 51 is not base64"),
    "the same, at the beginning": (TEXT[:26] + "\\n" + TEXT[26:], r"'\\\\' at character 27 is not"),
    "two texts in one": (f"{TEXT}=={TEXT}", "'=' at character .* is not at the end"),
    "dots for the rest": (TEXT[:60] + "...", r"'\.' at character 61 is not base64"),
    "one too many": (LONG + "A", "characters, which is one too many or some too few"),
}


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("wrap", ["text", "data URL", "bytes", "path", "file"])
async def test_damaged_base64_is_called_damaged(tmp_path: Path, case: str, wrap: str) -> None:
    text, said = DAMAGED[case]
    path = tmp_path / "cat.txt"
    path.write_text(text)
    sources: dict[str, Any] = {
        "text": text,
        "data URL": f"data:image/png;base64,{text}",
        "bytes": text.encode(),
        "path": path,
        "file": io.BytesIO(f"data:image/png;base64,{text}".encode()),
    }
    with pytest.raises(InvalidArgumentError, match=f"The base64 .*{said}") as caught:
        await image_part(sources[wrap])
    assert len(str(caught.value)) < 250


async def test_a_picture_without_its_end_is_sent_because_readers_may_show_it() -> None:
    data = picture("JPEG")[:-2]
    part = await image_part(f"data:image/jpg;base64,{base64.b64encode(data).decode()}")
    assert part["image_url"]["url"].startswith("data:image/jpeg;base64,")


async def test_a_data_url_without_a_comma_gets_an_example() -> None:
    with pytest.raises(InvalidArgumentError, match="no comma: write it like"):
        await image_part("data:image/png;base64")


# --- text that is not a path --------------------------------------------------------------------

WEB = "a web address must begin with https:// or http://"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sandbox:/mnt/data/a.png", "it is in the sandbox of a code interpreter; download it"),
        ("sandbox:///mnt/data/a.png", "it is in the sandbox of a code interpreter; download it"),
        ("www.example.com/a.png", WEB),
        ("example.com/a.png", WEB),
        ("//example.com/a.png", WEB),
        ("localhost:8000/a.png", WEB),
        ("10.0.0.5:80/a.png", WEB),
        ("https:/example.com/a.png", WEB),
        ("http:example.com/a.png", WEB),
        ("https//example.com/a.png", WEB),
        ("~/a.png", r"`~` is not expanded; write the full path, or pass Path\(...\).expanduser"),
        ("~me/a.png", "`~` is not expanded"),
        ("$HOME/a.png", "variables are not expanded; pass os.path.expandvars"),
        ("%USERPROFILE%\\a.png", "variables are not expanded"),
        ("pictures/*.png", "wildcards are not expanded; pass one path at a time"),
        ('"a.png"', "leave out the quotes around it"),
        ("blob:https://example.com/1", r"pass a path, an http\(s\) URL or a data URL"),
        ("attachment:a.png", r"pass a path, an http\(s\) URL or a data URL"),
    ],
)
async def test_the_error_for_text_that_is_not_a_path_says_what_to_pass(
    text: str, said: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^[^\n]*: {said}"):
        await image_part(text)


@pytest.mark.parametrize(
    "text", ["no/a.png", "../a.png", "/9j/photos/of/a/cat01", "/no/a.png", "C:\\a.png", "a b.png"]
)
async def test_an_ordinary_path_gets_no_advice(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"There is no file '[^']*'\.$"):
        await image_part(text)


async def test_a_file_with_an_odd_name_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("~", "www.example.com", "sandbox:a.png", "$HOME"):
        Path(name).write_bytes(PNG)
        assert decoded(await image_part(name))[1] == PNG


@pytest.mark.parametrize(
    "url", ["https://x.test/a.svg", "http://x.test/A.SVG?b=c", "https://x/a.svgz"]
)
async def test_the_url_of_an_svg_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is an SVG, .* render it as a PNG first"):
        await image_part(url)


async def test_a_picture_made_of_an_svg_is_passed_on() -> None:
    url = "https://x.test/thumb/Cat.svg/200px-Cat.svg.png?from=a.svg"
    assert (await image_part(url))["image_url"]["url"] == url


# --- formats that models do not read ------------------------------------------------------------

FORMATS: dict[str, tuple[bytes, str]] = {
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "pillow-heif"),
    "AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(64), "PIL.Image.open"),
    "ICO": (picture("ICO", size=(16, 16)), "PIL.Image.open"),
    "TIFF": (picture("TIFF"), "PIL.Image.open"),
    "BMP": (picture("BMP"), "PIL.Image.open"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "render it as a PNG"),
    "JXL": (b"\xff\x0a" + bytes(64), "convert it"),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("wrap", ["bytes", "path", "file", "data URL"])
async def test_a_format_that_models_do_not_read_is_named(
    tmp_path: Path, kind: str, wrap: str
) -> None:
    data, advice = FORMATS[kind]
    path = tmp_path / "cat.png"
    path.write_bytes(data)
    sources: dict[str, Any] = {
        "bytes": data,
        "path": path,
        "file": io.BytesIO(data),
        "data URL": "data:image/png;base64," + base64.b64encode(data).decode(),
    }
    with pytest.raises(InvalidArgumentError, match=f"picture but {kind}: .*{advice}"):
        await image_part(sources[wrap])


@pytest.mark.parametrize("kind", ["AVIF", "ICO", "TIFF", "BMP"])
async def test_what_the_advice_says_works(kind: str) -> None:
    image = Image.open(io.BytesIO(picture(kind, size=(16, 16))))
    assert decoded(await image_part(image))[0] == "data:image/png;base64"


async def test_space_around_a_url_is_left_out() -> None:
    assert (await image_part(" https://x.test/c.png\n"))["image_url"]["url"][-4:] == ".png"
