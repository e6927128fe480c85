"""Public bug reports about uploads, replayed: what their authors wanted happens here."""

from __future__ import annotations

import asyncio
import io
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from openai_async import AsyncClient, InvalidArgumentError
from openai_async.http.multipart import CHUNK, Multipart
from openai_async.testing import Failure, LocalServer

from ..raw_server import RawServer

PNG = b"\x89PNG\r\n\x1a\n\xff\xfe" + bytes(20)


async def uploaded(client: AsyncClient, file: Any) -> tuple[str, bytes]:
    """The name and the content that the server has after an upload."""
    created = await client.files.create(file=file, purpose="user_data")
    return created.filename, await (await client.files.content(created.id)).read()


async def test_a_file_in_memory_gets_the_extension_of_its_content(client: AsyncClient) -> None:
    """openai-python#1511 ("Files with extensions [none] are not supported"), #2315."""
    name, _ = await uploaded(client, io.BytesIO(b"%PDF-1.7"))
    assert name == "upload.pdf"
    name, _ = await uploaded(client, io.BytesIO(b"RIFF\n\0\0\0WAVE"))
    assert name == "upload.wav"


async def test_the_filename_is_kept_with_its_extension(client: AsyncClient) -> None:
    """open-chat-studio#282: all files were named "upload"."""
    file = io.BytesIO(b"a,b")
    file.name = "dir/table.csv"
    assert await uploaded(client, file) == ("table.csv", b"a,b")
    assert await uploaded(client, ("table.csv", io.BytesIO(b"a,b"))) == ("table.csv", b"a,b")


async def test_pictures_as_bytes_have_the_media_type_of_pictures(
    client: AsyncClient, server: LocalServer
) -> None:
    """openai-python#2341, genblaze#253: unsupported mimetype ('application/octet-stream')."""
    for file in (PNG, ("picture.img", PNG)):
        await uploaded(client, file)
    for request in server.requests[::2]:
        assert b"Content-Type: image/png\r\n" in request.body


async def test_json_is_sent_as_json(client: AsyncClient, server: LocalServer) -> None:
    """openai-python#727."""
    await uploaded(client, ("example_1.json", b"{}"))
    assert b"Content-Type: application/json\r\n" in server.requests[0].body


async def test_a_path_may_have_another_name(client: AsyncClient, tmp_path: Path) -> None:
    """InferESG#56: a tuple with a path was not accepted."""
    path = tmp_path / "tmp1234"
    path.write_bytes(b"text")
    assert await uploaded(client, ("report.txt", path)) == ("report.txt", b"text")


async def test_a_spooled_file_of_a_web_framework_is_a_file(client: AsyncClient) -> None:
    """vt-py#119, geti#4846: what FastAPI's UploadFile.file is."""
    with tempfile.SpooledTemporaryFile(max_size=10) as file:
        file.write(b"more than it keeps in memory")
        file.seek(0)
        _, content = await uploaded(client, file)
    assert content == b"more than it keeps in memory"


async def test_an_async_file_is_refused_with_what_to_pass_instead(client: AsyncClient) -> None:
    """openai-python#351 (aiofiles): "expected file like object, not generator"."""

    class AsyncFile:
        async def read(self, size: int = -1) -> bytes:
            return b""

    with pytest.raises(InvalidArgumentError, match=r"is an async file: pass a pathlib\.Path"):
        await client.files.create(file=AsyncFile(), purpose="batch")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["вф.txt", "漢字.o8d", "tęšt-fïłê.png", 'quo"te.txt'])
async def test_a_filename_arrives_as_it_is(client: AsyncClient, name: str) -> None:
    """aiomax#26 (aiohttp's FormData escapes it), requests#2313 (RFC 2231 is not understood)."""
    assert (await uploaded(client, (name, b"x")))[0] == name


async def test_a_content_type_without_a_boundary_is_replaced(
    client: AsyncClient, server: LocalServer
) -> None:
    """httpx#3522: the header was sent as it was passed, without the boundary."""
    headers = {"Content-Type": "multipart/form-data"}
    created = await client.files.create(file=b"x", purpose="user_data", extra_headers=headers)
    assert created.bytes == 1
    (sent,) = server.requests[0].headers.getall("Content-Type")  # type: ignore[attr-defined]
    assert "; boundary=" in sent


@pytest.mark.usefixtures("waits")
async def test_a_retry_sends_the_whole_file_again(client: AsyncClient, server: LocalServer) -> None:
    """assemblyline_client#52: empty files after retries."""
    server.script(Failure(500), Failure(500))
    created = await client.files.create(
        file=io.BytesIO(b"twelve bytes"), purpose="user_data", max_retries=2
    )
    assert created.bytes == 12


async def test_binary_content_comes_back_as_it_was(client: AsyncClient) -> None:
    """openai-python#699: a picture was decoded as text."""
    assert (await uploaded(client, PNG))[1] == PNG


async def test_an_empty_file_is_uploaded_as_such(client: AsyncClient) -> None:
    """perplexity-ai#14: an empty file was reported as an upload error."""
    assert await uploaded(client, ("empty.txt", b"")) == ("empty.txt", b"")


async def test_lists_have_brackets(raw: RawServer, raw_client: AsyncClient) -> None:
    """litellm#36036: of several timestamp_granularities only the last was honoured."""
    raw.answer = lambda exchange: exchange.whole(b"{}")
    request = raw_client.build_request("POST", "/audio/transcriptions")
    request.body = Multipart({"timestamp_granularities": ["segment", "word"]})
    await raw_client.send(request)
    assert raw.exchanges[0].body.count(b'name="timestamp_granularities[]"\r\n') == 2


async def test_a_slow_disk_does_not_stop_the_event_loop(client: AsyncClient) -> None:
    """software-agent-sdk#3119: one upload starved everything else."""
    others_ran = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert others_ran.wait(10)
            return super().read(size)

    upload = asyncio.create_task(uploaded(client, ("slow.txt", Slow(b"x"))))
    assert (await client.models.list()).data
    others_ran.set()
    assert await upload == ("slow.txt", b"x")


async def test_a_large_file_is_never_held_in_memory(tmp_path: Path) -> None:
    """E2B#1433: uploads and downloads were buffered whole."""
    size = 64 * 2**20
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(size)

    async def discard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert left > size
        while left:
            left -= len(await reader.read(min(left, CHUNK)))
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"id": "f-1"}')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(discard, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with AsyncClient(base_url=url, api_key="k", max_retries=0) as client:
        tracemalloc.start()
        try:
            file_object = await client.files.create(file=path, purpose="user_data")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    server.close()
    assert file_object.id == "f-1"
    assert peak < 16 * CHUNK
