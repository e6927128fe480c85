"""multipart/form-data: what is sent, where it is read from, and when it is sent again."""

from __future__ import annotations

import asyncio
import copy
import email
import email.policy
import io
import lzma
import mmap
import os
import re
import threading
import time
from pathlib import Path
from typing import IO, Any

import pytest

from openai_async import (
    APIConnectionError,
    APIStatusError,
    AsyncClient,
    InternalServerError,
    InvalidArgumentError,
    OpenAIError,
    Response,
)
from openai_async.http.file_sources import PathSource
from openai_async.http.multipart import CHUNK, Multipart
from openai_async.testing import Failure, LocalServer

from ..raw_server import Exchange, RawServer

pytestmark = pytest.mark.virtual_time

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


async def send(client: AsyncClient, body: Multipart, **options: Any) -> Response:
    request = client.build_request("POST", "/anything", **options)
    request.body = body
    return await client.send(request)


async def ok(exchange: Exchange) -> None:
    await exchange.whole(b"{}")


def parts(body: bytes, content_type: str) -> list[tuple[str, str | None, str | None, bytes]]:
    """Name, filename, media type and content of each part, read by the standard library."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    found = []
    for part in message.iter_parts():
        disposition = part["Content-Disposition"].params
        kind = part.get_content_type() if "Content-Type" in part else None
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((disposition["name"], disposition.get("filename"), kind, content))
    return found


async def sent(raw: RawServer, client: AsyncClient, **params: Any) -> list[tuple[Any, ...]]:
    """The parts as they arrive; the parameters whose names begin with "file" are files."""
    raw.answer = ok
    await send(client, Multipart(params, [name for name in params if name.startswith("file")]))
    exchange = raw.exchanges[-1]
    assert exchange.headers["content-length"] == str(len(exchange.body))
    return [*parts(exchange.body, exchange.headers["content-type"])]


# --- fields -------------------------------------------------------------------------------------


async def test_fields_are_sent_as_form_fields(raw: RawServer, raw_client: AsyncClient) -> None:
    found = await sent(
        raw,
        raw_client,
        text="Grüße",
        flag=True,
        off=False,
        whole=3,
        broken=0.5,
        nothing=None,
        several=["a", "b"],
        inner={"anchor": "created_at", "seconds": 3600},
    )
    assert [(name, content.decode()) for name, _, _, content in found] == [
        ("text", "Grüße"),
        ("flag", "true"),
        ("off", "false"),
        ("whole", "3"),
        ("broken", "0.5"),
        ("several[]", "a"),
        ("several[]", "b"),
        ("inner[anchor]", "created_at"),
        ("inner[seconds]", "3600"),
    ]


async def test_names_and_filenames_are_escaped_as_browsers_do(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = ok
    await send(raw_client, Multipart({'a"\nb': "x", "file": ('é"\r\n.txt', b"y")}, files={"file"}))
    body = raw.exchanges[0].body
    assert b'form-data; name="a%22%0D%0Ab"\r\n' in body
    assert 'name="file"; filename="é%22%0D%0A.txt"\r\n'.encode() in body


async def test_a_copy_of_a_request_sends_the_same_files(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = ok
    request = raw_client.build_request("POST", "/anything")
    request.body = Multipart({"file": io.BytesIO(b"x")}, files={"file"})
    assert repr(request.body) in repr(request)
    await raw_client.send(request)
    await raw_client.send(copy.deepcopy(request))
    first, second = raw.exchanges
    assert first.body == second.body


@pytest.mark.parametrize(
    "value", ["\ud800", b"bytes", object()], ids=["surrogate", "bytes", "object"]
)
def test_a_field_that_cannot_be_sent_is_refused(value: Any) -> None:
    with pytest.raises((InvalidArgumentError, TypeError)):
        Multipart({"field": value})


# --- files --------------------------------------------------------------------------------------


async def test_a_path_has_its_name_and_its_media_type(
    raw: RawServer, raw_client: AsyncClient, tmp_path: Path
) -> None:
    path = tmp_path / "página.pdf"
    path.write_bytes(b"%PDF")
    assert await sent(raw, raw_client, file=path) == [
        ("file", "página.pdf", "application/pdf", b"%PDF")
    ]


@pytest.mark.parametrize(
    ("file", "filename", "kind"),
    [
        (b"abc", "upload", "application/octet-stream"),
        (b"", "upload", "application/octet-stream"),
        (PNG, "upload.png", "image/png"),
        (io.BytesIO(PNG), "upload.png", "image/png"),
        (("cat", PNG), "cat", "image/png"),
        (("cat.png", b"?"), "cat.png", "image/png"),
        (("a.webp", b"?"), "a.webp", "image/webp"),
        (("a.jsonl.gz", b"?"), "a.jsonl.gz", "application/gzip"),
        (("cat.png", PNG, "text/plain"), "cat.png", "text/plain"),
        ((None, PNG), "upload.png", "image/png"),
        (("picture.img", PNG), "picture.img", "image/png"),
        (b"%PDF-1.7", "upload.pdf", "application/pdf"),
        (io.BytesIO(b"RIFF\n\0\0\0WAVE"), "upload.wav", "audio/wav"),
        (b"ID3\4", "upload.mp3", "audio/mpeg"),
        (("cat.png", PNG, None, {"Content-Type": "image/x"}), "cat.png", "image/x"),
        (bytearray(b"abc"), "upload", "application/octet-stream"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_names_and_media_types_are_passed_or_detected(
    raw: RawServer, raw_client: AsyncClient, file: Any, filename: str, kind: str
) -> None:
    ((_, name, found, _),) = await sent(raw, raw_client, file=file)
    assert (name, found) == (filename, kind)


async def test_a_list_of_files_with_headers_of_their_own(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    found = await sent(raw, raw_client, files=[b"a", ("b.txt", b"b", None, {"X-Part": "2"})], n=1)
    assert [(name, content) for name, _, _, content in found] == [
        ("n", b"1"),
        ("files[]", b"a"),
        ("files[]", b"b"),
    ]
    assert b"\r\nX-Part: 2\r\n" in raw.exchanges[0].body


async def test_an_open_file_is_read_from_its_position_and_stays_open(
    raw: RawServer, raw_client: AsyncClient, tmp_path: Path
) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        assert await sent(raw, raw_client, file=file) == [
            ("file", "in.txt", "text/plain", b"456789")
        ]
        assert not file.closed


async def test_a_large_file_is_sent_piece_by_piece(
    raw: RawServer, raw_client: AsyncClient, tmp_path: Path
) -> None:
    data = os.urandom(3 * CHUNK + 17)
    path = tmp_path / "large.bin"
    path.write_bytes(data)
    ((_, _, _, content),) = await sent(raw, raw_client, file=path)
    assert content == data


async def test_a_pipe_is_sent_without_a_length(client: AsyncClient, server: LocalServer) -> None:
    server.script(Failure(status=400))
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe")
    os.close(writing)
    with os.fdopen(reading, "rb") as file, pytest.raises(APIStatusError):
        await send(client, Multipart({"file": file}, files={"file"}))
    (request,) = server.requests
    assert request.headers["Transfer-Encoding"] == "chunked"
    assert [
        (name, content)
        for name, _, _, content in parts(request.body, request.headers["Content-Type"])
    ] == [("file", b"from a pipe")]


class AsyncFile:
    async def read(self, size: int = -1) -> bytes:
        return b""


def closed_file() -> IO[bytes]:
    file = io.BytesIO(b"x")
    file.close()
    return file


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("in.jsonl", "file is a str, which could be a path or the content: pass a pathlib.Path"),
        (("in.jsonl", "text"), "file is a str"),
        (io.StringIO("text"), 'opened in text mode: open it with "rb"'),
        (AsyncFile(), "file is an async file"),
        (closed_file(), "file is a closed file"),
        (5, "file has type int"),
        (("a",), "file is a tuple of length 1"),
        ((5, b"x"), "file has type int"),
        (("a", b"x", "text/plain\r\nX: y"), "line break"),
        (("a", b"x", None, {"Content-Disposition": "x"}), "file has its own Content-Disposition"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_not_a_file_is_refused_in_one_sentence(file: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Multipart({"file": file}, files={"file"})


@pytest.mark.parametrize("name", ["missing.txt", "."])
async def test_a_path_that_cannot_be_read_is_an_error_before_anything_is_sent(
    raw: RawServer, raw_client: AsyncClient, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=r"There is no file|is a directory"):
        await send(raw_client, Multipart({"file": tmp_path / name}, files={"file"}))
    assert raw.exchanges == []


class Odd(io.BytesIO):
    """A file whose `read` raises something."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"x")
        self.error = error

    def read(self, size: int | None = -1, /) -> bytes:
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EOFError("Compressed file ended"), "cannot be read: Compressed file ended"),
        (lzma.LZMAError("Corrupt input"), "cannot be read: Corrupt input"),
        (KeyError("boom"), "cannot be read: KeyError 'boom'"),
        (StopIteration(), "cannot be read: StopIteration"),
        (io.UnsupportedOperation("read"), 'cannot be read: read, open it with "rb"'),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_whatever_a_file_raises_is_our_error_and_not_retried(
    raw: RawServer, raw_client: AsyncClient, error: Exception, said: str
) -> None:
    body = Multipart({"file": ("x.txt", Odd(error))}, files={"file"})
    with pytest.raises(InvalidArgumentError, match=re.escape(said)) as caught:
        await send(raw_client, body, max_retries=2)
    assert caught.value.__cause__ is error


async def test_files_of_odd_kinds_are_sent(
    raw: RawServer, raw_client: AsyncClient, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abcdef")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert (await sent(raw, raw_client, file=mapped))[0][3] == b"abcdef"
    assert (await sent(raw, raw_client, file=memoryview(b"a-b-c-")[::2]))[0][3] == b"abc"
    released = memoryview(b"abc")
    released.release()
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        Multipart({"file": released}, files={"file"})


class Disturbed(io.BytesIO):
    """A file that other threads use whenever they can."""

    def seek(self, *args: int) -> int:
        position = super().seek(*args)
        time.sleep(0.001)  # other threads run
        return position


async def test_several_uploads_of_the_same_open_file_are_each_whole(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = ok
    data = b"".join(b"%07d\n" % number for number in range(200_000))
    file = Disturbed(data)
    bodies = [Multipart({"file": file}, files={"file"}) for _ in range(3)]
    await asyncio.gather(*(send(raw_client, body) for body in bodies))
    assert [data in exchange.body for exchange in raw.exchanges] == [True] * 3


async def test_a_file_that_was_read_to_its_end_is_not_sent_as_an_empty_one(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = ok
    file = io.BytesIO(b"x")
    await send(raw_client, Multipart({"file": file}, files={"file"}))
    with pytest.raises(InvalidArgumentError, match=r"read to its end: call seek\(0\)"):
        await send(raw_client, Multipart({"file": file}, files={"file"}))
    assert len(raw.exchanges) == 1


async def test_a_file_that_is_closed_before_it_is_sent_is_an_error(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    file = io.BytesIO(b"x")
    body = Multipart({"file": file}, files={"file"})
    file.close()
    with pytest.raises(InvalidArgumentError, match="cannot be read: I/O operation on closed file"):
        await send(raw_client, body, max_retries=2)


class Changing(io.BytesIO):
    """A file that has a different size when it is measured."""

    def __init__(self, data: bytes, by: int) -> None:
        super().__init__(data)
        self.by = by
        self.measured = False

    def seek(self, position: int, whence: int = 0, /) -> int:
        self.measured = whence == os.SEEK_END
        return super().seek(position, whence)

    def tell(self) -> int:
        return super().tell() + (self.by if self.measured else 0)


@pytest.mark.parametrize(("by", "verb"), [(-3, "grew"), (3, "shrank")])
async def test_a_file_that_changes_while_it_is_sent_is_an_error_and_not_a_hang(
    raw: RawServer, raw_client: AsyncClient, by: int, verb: str
) -> None:
    raw.answer = ok
    file = Changing(bytes(CHUNK), by)
    with pytest.raises(OpenAIError, match=f"{verb} while it was sent"):
        await send(raw_client, Multipart({"file": file}, files={"file"}), max_retries=2)
    assert raw.exchanges == []


async def test_a_file_that_shrinks_after_the_server_has_begun_to_answer_is_an_error() -> None:
    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await reader.read()  # up to the end, which never comes by itself
        writer.close()

    server = await asyncio.start_server(answer_early, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    body = Multipart({"file": Changing(bytes(40 * CHUNK), 3)}, files={"file"})
    async with AsyncClient(base_url=url, api_key="k", max_retries=2) as client:
        with pytest.raises(OpenAIError, match="shrank while it was sent"):
            await send(client, body)
    assert asyncio.get_running_loop().time() < 1  # not after the timeout
    server.close()
    await server.wait_closed()


# --- sending again ------------------------------------------------------------------------------


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("kind", ["path", "bytes", "open"])
async def test_what_can_be_read_again_is_retried_in_full(
    client: AsyncClient, server: LocalServer, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "in.bin"
    path.write_bytes(b"x" * (CHUNK + 1))
    server.script(Failure(500), Failure(429), Failure(400))
    with path.open("rb") as file:
        content = {"path": path, "bytes": path.read_bytes(), "open": file}[kind]
        with pytest.raises(APIStatusError) as caught:
            await send(client, Multipart({"file": content}, files={"file"}), max_retries=2)
        assert not file.closed
    assert (caught.value.status_code, caught.value.attempts) == (400, 3)
    assert len({request.body for request in server.requests}) == 1


@pytest.fixture
def pipe() -> Any:
    reading, writing = os.pipe()
    os.write(writing, b"once")
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        yield file


@pytest.mark.usefixtures("waits")
async def test_what_can_be_read_only_once_is_sent_only_once(
    client: AsyncClient, server: LocalServer, pipe: Any
) -> None:
    server.script(Failure(500))
    body = Multipart({"file": pipe}, files={"file"})
    with pytest.raises(InternalServerError):
        await send(client, body, max_retries=2)
    assert len(server.requests) == 1
    with pytest.raises(OpenAIError, match="cannot be read a second time"):
        await send(client, body)


@pytest.mark.usefixtures("waits")
async def test_a_pipe_that_has_not_been_read_yet_is_retried(pipe: Any) -> None:
    server = LocalServer()
    await server.start()
    await server.stop()
    body = Multipart({"file": pipe}, files={"file"})
    async with AsyncClient(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="k") as client:
        with pytest.raises(APIConnectionError) as caught:
            await send(client, body, max_retries=2)
    assert (caught.value.attempts, body.repeatable) == (3, True)


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_redirect_is_followed_if_the_body_can_be_sent_again(
    client: AsyncClient, server: LocalServer, pipe: Any, repeatable: bool
) -> None:
    server.script(Failure(307, headers={"Location": "/v1/there"}), Failure(400))
    body = Multipart({"file": b"x" if repeatable else pipe}, files={"file"})
    with pytest.raises(APIStatusError) as caught:
        await send(client, body)
    assert caught.value.status_code == (400 if repeatable else 307)
    assert len({request.body for request in server.requests}) == 1
    assert len(server.requests) == (2 if repeatable else 1)


async def test_a_stale_connection_is_replaced(raw: RawServer, raw_client: AsyncClient) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.whole(b"{}")
        if len(raw.exchanges) == 1:
            exchange.writer.close()

    raw.answer = answer
    for _ in range(2):
        await send(raw_client, Multipart({"file": b"x" * 10}, files={"file"}))
    assert len(raw.exchanges) == 2


# --- ending early -------------------------------------------------------------------------------


def is_open(path: Path) -> bool:
    return any(entry.exists() and entry.samefile(path) for entry in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_a_file_that_is_closed_during_a_read_is_closed_after_it(tmp_path: Path) -> None:
    path = tmp_path / "pipe"  # in place of a slow disk
    os.mkfifo(path)
    reader = PathSource(path).open()
    reading = asyncio.create_task(asyncio.to_thread(reader.read, 1))
    writer = await asyncio.to_thread(path.open, "wb")  # returns once the reader has opened it
    reader.close()
    assert is_open(path)
    writer.write(b"x")
    writer.close()
    await reading
    assert not is_open(path)


async def test_a_cancelled_upload_leaves_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(20 * CHUNK))
    arrived, over = asyncio.Event(), asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(CHUNK)
        arrived.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with AsyncClient(base_url=url, api_key="k") as client:
        call = asyncio.create_task(send(client, Multipart({"file": path}, files={"file"})))
        await arrived.wait()
        assert is_open(path)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        # A thread may have been reading: wait for all of them.
        await asyncio.get_running_loop().shutdown_default_executor()
        assert not is_open(path)
    over.set()
    server.close()
    await server.wait_closed()


async def test_a_refusal_before_the_end_of_the_upload_is_the_error(
    tmp_path: Path, client: AsyncClient, server: LocalServer
) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(70 * 2**20)  # more than the server takes
    with pytest.raises(APIStatusError) as caught:
        await send(client, Multipart({"file": path}, files={"file"}))
    assert caught.value.status_code == 413


async def test_files_are_read_in_a_thread(raw: RawServer, raw_client: AsyncClient) -> None:
    threads = set()

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            threads.add(threading.current_thread())
            return super().read(size)

    await sent(raw, raw_client, file=Watched(b"x" * 3 * CHUNK))
    assert threads
    assert threading.main_thread() not in threads
