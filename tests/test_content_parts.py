"""Recordings and documents as input, in every form."""

from __future__ import annotations

import base64
import io
import mimetypes
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from openai_async import AsyncClient, InvalidArgumentError, audio_part, file_part
from openai_async.testing import LocalServer
from openai_async.types.files import FileObject

pytestmark = pytest.mark.virtual_time

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
MP3 = b"\xff\xfb\x90\x64" + bytes(20)
PDF = b"%PDF-1.7\n" + bytes(20)


def heard(part: Any) -> tuple[str, bytes]:
    assert part.keys() == {"type", "input_audio"}
    assert part["type"] == "input_audio"
    return part["input_audio"]["format"], base64.b64decode(part["input_audio"]["data"])


def shown(part: Any) -> tuple[str, str, bytes]:
    """The name, the start of the data URL, and the bytes."""
    assert part["type"] == "file"
    head, _, data = part["file"]["file_data"].partition(",")
    return part["file"]["filename"], head, base64.b64decode(data)


# --- audio_part ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (WAV, "wav"),
        (b"RF64" + WAV[4:], "wav"),
        (MP3, "mp3"),
        (b"\xff\xf3\x40\xc4" + bytes(20), "mp3"),
        (b"ID3\x04\x00" + bytes(20), "mp3"),
    ],
)
async def test_the_format_is_detected_from_the_bytes_not_the_name(
    tmp_path: Path, data: bytes, kind: str
) -> None:
    path = tmp_path / "talk.txt"
    path.write_bytes(data)
    for source in (path, str(path), data):
        assert heard(await audio_part(source)) == (kind, data)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
async def test_a_recording_in_memory_or_an_open_file(wrap: Any) -> None:
    assert heard(await audio_part(wrap(WAV))) == ("wav", WAV)


async def test_a_recording_in_an_async_file() -> None:
    class File:
        rest = WAV

        async def read(self, size: int) -> bytes:
            part, self.rest = self.rest[:size], self.rest[size:]
            return part

    assert heard(await audio_part(File())) == ("wav", WAV)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\x00\x00\x00\x20ftypM4A ", "m4a"),
        (b"FORM\x00\x00\x00\x00AIFF", "aiff"),
        (b"\x1aE\xdf\xa3", "webm"),
        (b"#!AMR", "amr"),
    ],
)
async def test_another_format_has_to_be_asked_for(data: bytes, kind: str) -> None:
    data += bytes(20)
    advice = f'{kind.upper()}, not WAV or MP3: convert it, or pass format="{kind}"'
    with pytest.raises(InvalidArgumentError, match=advice):
        await audio_part(data)
    assert heard(await audio_part(data, format=kind)) == (kind, data)


async def test_what_has_no_known_format_needs_one() -> None:
    with pytest.raises(InvalidArgumentError, match="These bytes are not a WAV or MP3 file"):
        await audio_part(b"\x01\x02" * 20)
    assert heard(await audio_part(b"\x01\x02", "pcm16")) == ("pcm16", b"\x01\x02")


@pytest.mark.parametrize("value", ["", " ", 3])
async def test_a_format_is_a_name(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="pass the name of a format"):
        await audio_part(WAV, value)


# --- file_part ----------------------------------------------------------------------------------


async def test_a_document_has_the_name_of_its_path(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(PDF)
    expected = ("report.pdf", "data:application/pdf;base64", PDF)
    assert shown(await file_part(path)) == expected
    assert shown(await file_part(str(path))) == expected
    with path.open("rb") as file:
        assert shown(await file_part(file)) == expected
    assert shown(await file_part(path, filename="a.pdf"))[0] == "a.pdf"


async def test_a_document_in_memory_gets_a_name() -> None:
    assert shown(await file_part(PDF)) == ("file.pdf", "data:application/pdf;base64", PDF)
    head = "data:application/octet-stream;base64"
    assert shown(await file_part(b"\x00\x01")) == ("file", head, b"\x00\x01")


@pytest.mark.parametrize(
    ("name", "kind"), [("a.txt", "text/plain"), ("a.csv", "text/csv"), ("a.pdf", "application/pdf")]
)
async def test_the_media_type_is_that_of_the_name(name: str, kind: str) -> None:
    assert shown(await file_part(b"a,b", filename=name))[1] == f"data:{kind};base64"


async def test_a_file_from_a_descriptor_has_no_name() -> None:
    reader, writer = os.pipe()
    os.write(writer, PDF)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        assert shown(await file_part(file))[0] == "file.pdf"


async def test_an_uploaded_file_is_sent_as_its_id() -> None:
    expected = {"type": "file", "file": {"file_id": "file-AbC_123"}}
    assert await file_part("file-AbC_123") == expected
    uploaded = FileObject.from_dict({"id": "file-AbC_123", "filename": "a.pdf"})
    assert await file_part(uploaded) == expected
    with pytest.raises(InvalidArgumentError, match="it keeps the name it has"):
        await file_part("file-AbC_123", filename="a.pdf")


async def test_a_file_takes_precedence_over_an_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file-1").write_bytes(PDF)
    assert shown(await file_part("file-1"))[0] == "file-1"


@pytest.mark.parametrize("value", ["", " ", 3])
async def test_a_filename_is_a_name(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="pass a name"):
        await file_part(PDF, value)


# --- both ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [audio_part, file_part])
@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("no such file.x", "There is no file 'no such file.x'"),
        ("", "The path of the .* is empty"),
        ("https://x.test/a.pdf", "is a URL: pass the .* itself"),
        ("data:audio/wav;base64,AAAA", "is a URL"),
        ("/", "Cannot read '/': Is a directory"),
        ("a\0b", "Cannot read"),
        (b"", "These bytes are empty"),
        (io.BytesIO(), "The file is empty"),
        (io.StringIO("text"), 'open it with mode "rb"'),
        (None, "A value of type NoneType is not a "),
        (7, "A value of type int is not a "),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_what_is_not_a_file_is_refused(part: Any, source: Any, advice: str) -> None:
    with pytest.raises(InvalidArgumentError, match=advice):
        await part(source)


@pytest.mark.parametrize("part", [audio_part, file_part])
async def test_a_file_that_is_too_large_is_refused(
    part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.images.reading.MAX_IMAGE_SIZE", 2**20)
    path = tmp_path / "large"
    path.write_bytes(WAV + bytes(2**20))
    for source in (path, path.read_bytes(), io.BytesIO(path.read_bytes())):
        with pytest.raises(InvalidArgumentError, match="larger than 1 MiB"):
            await part(source)


@pytest.mark.parametrize("part", [audio_part, file_part])
async def test_no_more_is_read_of_a_path_than_the_limit(
    part: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path may be a device without an end, such as /dev/zero."""
    monkeypatch.setattr("openai_async.images.reading.MAX_IMAGE_SIZE", 2**20)
    reader, writer = os.pipe()
    enough = threading.Event()
    waiting: list[bool] = []

    def write() -> None:
        with suppress(BrokenPipeError):
            for _ in range(2**20 // 2**14 + 1):
                os.write(writer, bytes(2**14))
        waiting.append(not enough.wait(10))  # for ever, to one who reads to the end
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with pytest.raises(InvalidArgumentError, match="larger than 1 MiB"):
            await part(f"/dev/fd/{reader}")
    finally:
        enough.set()
        os.close(reader)
        thread.join()
    assert waiting == [False]


@pytest.mark.parametrize("size", [1, 3 * 2**17, 3 * 2**17 + 1, 2**20])
async def test_large_files_are_encoded_in_pieces_between_which_the_loop_runs(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    encode = base64.b64encode

    def encoded(data: bytes) -> bytes:
        assert threading.current_thread() is not threading.main_thread()
        sizes.append(len(data))
        return encode(data)

    monkeypatch.setattr(base64, "b64encode", encoded)
    data = PDF + os.urandom(size - 1)
    url = (await file_part(data))["file"]["file_data"]
    assert url == "data:application/pdf;base64," + encode(data).decode()
    assert max(sizes) <= 2**19


async def test_the_tables_of_media_types_are_not_read_on_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def guess(name: str) -> tuple[str, None]:
        assert threading.current_thread() is not threading.main_thread()
        return "text/x", None

    monkeypatch.setattr(mimetypes, "guess_type", guess)
    assert shown(await file_part(b"a,b", filename="a.x"))[1] == "data:text/x;base64"


async def test_parts_go_into_a_message(server: LocalServer, client: AsyncClient) -> None:
    parts: list[Any] = [{"type": "text", "text": "What is said, and what is written?"}]
    parts += [await audio_part(WAV), await file_part(PDF)]
    await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": parts}]
    )
    assert server.requests[0].json["messages"][0]["content"] == parts
