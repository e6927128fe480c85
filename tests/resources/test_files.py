"""`client.files`"""

from __future__ import annotations

import asyncio
import copy
import pickle
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openai_async import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    AsyncClient,
    BadRequestError,
    InternalServerError,
    InvalidArgumentError,
    NotFoundError,
    OpenAIError,
)
from openai_async.images.saving import NewFile
from openai_async.testing import Failure, LocalServer, Reply

from ..raw_server import Exchange, RawServer

pytestmark = pytest.mark.virtual_time

LINES = b'{"custom_id": "1"}\n'


@pytest.fixture
async def file_id(client: AsyncClient) -> str:
    return (await client.files.create(file=("in.jsonl", LINES), purpose="batch")).id


async def test_create(client: AsyncClient, server: LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(LINES)
    file = await client.files.create(
        file=path, purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert (file.filename, file.bytes, file.purpose) == ("in.jsonl", len(LINES), "user_data")
    assert (file.object, file.status) == ("file", "processed")
    assert file.expires_at == file.created_at + 3600
    assert file.meta.status == 200
    assert (server.requests[0].method, server.requests[0].path) == ("POST", "/v1/files")


async def test_list(client: AsyncClient) -> None:
    for number in range(5):
        await client.files.create(file=(f"{number}.txt", b"x"), purpose="user_data")
    await client.files.create(file=("in.jsonl", LINES), purpose="batch")
    page = await client.files.list(limit=2, order="asc", purpose="user_data")
    assert [file.filename for file in page] == ["0.txt", "1.txt"]
    names = [file.filename async for file in client.files.list(limit=2, purpose="user_data")]
    assert names == ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"]


async def test_retrieve_and_delete(client: AsyncClient, file_id: str) -> None:
    assert (await client.files.retrieve(file_id)).filename == "in.jsonl"
    deleted = await client.files.delete(file_id)
    assert (deleted.id, deleted.deleted) == (file_id, True)
    with pytest.raises(NotFoundError, match=file_id):
        await client.files.retrieve(file_id)


async def test_what_the_server_refuses_is_its_error(client: AsyncClient) -> None:
    with pytest.raises(BadRequestError, match="Supported values for 'purpose'"):
        await client.files.create(file=b"x", purpose="anything")
    with pytest.raises(NotFoundError):
        await client.files.delete("file-0")


async def test_arguments_are_checked_before_anything_is_sent(
    client: AsyncClient, server: LocalServer, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match="file is a str"):
        await client.files.create(file="in.jsonl", purpose="batch")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="There is no file"):
        await client.files.create(file=tmp_path / "none", purpose="batch")
    with pytest.raises(TypeError, match="did you mean 'purpose'"):
        await client.files.create(file=b"x", purpos="batch")  # type: ignore[call-arg]
    with pytest.raises(InvalidArgumentError, match="file_id is ''"):
        client.files.content("")
    assert server.requests == []


# --- content ------------------------------------------------------------------------------------


async def test_content_is_read_in_one_of_three_ways(
    client: AsyncClient, file_id: str, tmp_path: Path
) -> None:
    content = await client.files.content(file_id)
    assert content.meta.status == 200
    assert await content.read() == LINES
    assert await (await client.files.content(file_id)).text() == LINES.decode()
    async with client.files.content(file_id) as content:
        assert b"".join([part async for part in content.iter_bytes()]) == LINES
    saved = await (await client.files.content(file_id)).save(tmp_path / "out.jsonl")
    assert (saved, saved.read_bytes()) == (tmp_path / "out.jsonl", LINES)


async def test_content_can_be_awaited_and_then_entered(client: AsyncClient, file_id: str) -> None:
    content = await client.files.content(file_id)
    async with content as same:
        assert same is content
        assert await same.read() == LINES


@pytest.mark.parametrize("again", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_content_cannot_be_pickled_or_copied_but_its_bytes_can(
    client: AsyncClient, file_id: str, again: Callable[[object], object]
) -> None:
    content = await client.files.content(file_id)
    with pytest.raises(InvalidArgumentError, match=r"BinaryContent cannot.*`await \.read\(\)`"):
        again(content)
    assert await content.read() == LINES


async def test_content_that_was_read_is_not_silently_empty(
    client: AsyncClient, file_id: str
) -> None:
    content = await client.files.content(file_id)
    await content.read()
    with pytest.raises(OpenAIError, match="has been read"):
        await content.read()


@pytest.mark.usefixtures("waits")
async def test_failures_before_the_first_byte_are_retried(
    client: AsyncClient, server: LocalServer, file_id: str
) -> None:
    server.script(Failure(500), Failure(429))
    content = await client.files.content(file_id, max_retries=2)
    assert (await content.read(), content.meta.attempts) == (LINES, 3)


async def test_a_missing_file_is_an_error_when_the_content_is_opened(client: AsyncClient) -> None:
    with pytest.raises(NotFoundError):
        await client.files.content("file-0")


async def cut_off(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"half of it")
    exchange.writer.close()


async def test_a_file_is_saved_whole_or_not_at_all(
    raw: RawServer, raw_client: AsyncClient, tmp_path: Path
) -> None:
    raw.answer = cut_off
    target = tmp_path / "out.bin"
    target.write_bytes(b"before")
    content = await raw_client.files.content("file-1")
    with pytest.raises(APIConnectionError, match="cut off"):
        await content.save(target)
    assert target.read_bytes() == b"before"
    assert [*tmp_path.iterdir()] == [target]


async def test_a_large_file_is_saved_as_it_arrives(
    raw: RawServer, raw_client: AsyncClient, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 20_000
    raw.answer = lambda exchange: exchange.whole(data, content_type="application/octet-stream")
    target = tmp_path / "out.bin"
    target.write_bytes(b"before")
    target.chmod(0o600)
    await (await raw_client.files.content("file-1")).save(target)
    assert target.read_bytes() == data
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [target]


async def test_cancelling_while_it_is_saved_leaves_nothing_behind(
    client: AsyncClient, file_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    writing, go_on = asyncio.Event(), threading.Event()
    append = NewFile._append

    def slow(self: NewFile, data: bytes) -> None:
        append(self, data)
        loop.call_soon_threadsafe(writing.set)
        go_on.wait(10)

    monkeypatch.setattr(NewFile, "_append", slow)
    content = await client.files.content(file_id)
    saving = asyncio.create_task(content.save(tmp_path / "out.jsonl"))
    await writing.wait()
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    go_on.set()
    await loop.shutdown_default_executor()
    assert [*tmp_path.iterdir()] == []


async def test_a_path_that_cannot_be_written_is_refused(
    client: AsyncClient, file_id: str, tmp_path: Path
) -> None:
    content = await client.files.content(file_id)
    with pytest.raises(InvalidArgumentError, match="is a directory"):
        await content.save(tmp_path)
    assert await content.read() == LINES


async def test_content_that_does_not_fit_in_memory_is_an_error(
    client: AsyncClient, file_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.streaming.binary.MAX_READ", 4)
    with pytest.raises(APIResponseValidationError, match="use save"):
        await (await client.files.content(file_id)).read()


async def test_content_that_is_not_read_closes_its_connection(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def unfinished(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"x")

    raw.answer = unfinished
    async with raw_client.files.content("file-1") as content:
        assert await anext(content.iter_bytes()) == b"x"
    await raw.hung_up.wait()


@pytest.mark.parametrize(
    ("headers", "accept"),
    [(None, "application/octet-stream, */*"), ({"accept": "text/csv"}, "text/csv")],
)
async def test_any_media_type_is_accepted(
    client: AsyncClient, server: LocalServer, file_id: str, headers: Any, accept: str
) -> None:
    await (await client.files.content(file_id, extra_headers=headers)).read()
    assert server.requests[-1].headers["Accept"] == accept
    by_default = client.with_options(default_headers=headers or {})
    await (await by_default.files.content(file_id)).read()
    assert server.requests[-1].headers["Accept"] == accept


# --- waiting ------------------------------------------------------------------------------------


def status(word: str) -> Reply:
    return Reply(json={"id": "file-1", "object": "file", "status": word})


@pytest.mark.parametrize("final", ["processed", "error", ""])
async def test_waiting_ends_once_the_file_is_processed(
    client: AsyncClient, server: LocalServer, final: str
) -> None:
    server.script(status("uploaded"), status("uploaded"), status(final))
    file = await client.files.wait_for_processing("file-1")
    assert file.status == final
    assert asyncio.get_running_loop().time() == pytest.approx(10.0)


async def test_waiting_ends_after_max_wait_seconds(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(status("uploaded"), times=100)
    with pytest.raises(APITimeoutError, match="was not processed within 20 s"):
        await client.files.wait_for_processing("file-1", max_wait_seconds=20)
    assert len(server.requests) == 4


async def test_waiting_ends_if_a_request_fails(client: AsyncClient, server: LocalServer) -> None:
    server.script(status("uploaded"), Failure(500))
    with pytest.raises(InternalServerError):
        await client.files.wait_for_processing("file-1")


@pytest.mark.parametrize("name", ["poll_interval", "max_wait_seconds"])
@pytest.mark.parametrize("value", [0, -1, True, "5", float("inf")])
async def test_a_wait_is_a_number_of_seconds(client: AsyncClient, name: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{name} is"):
        await client.files.wait_for_processing("file-1", **{name: value})


async def test_content_that_was_not_awaited_says_how_to(client: AsyncClient) -> None:
    with pytest.raises(OpenAIError, match=r"content = await client\.files\.content"):
        await client.files.content("file-1").read()


async def test_an_unknown_parameter_of_a_list_belongs_in_the_query(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="extra_query"):
        client.files.list(foo=1)  # type: ignore[call-arg]
