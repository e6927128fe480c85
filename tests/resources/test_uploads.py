"""`client.uploads`"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import attrs
import pytest

from openai_async import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncClient,
    BadRequestError,
    InternalServerError,
    InvalidArgumentError,
    OpenAIError,
    Request,
    Response,
    Send,
    UploadProgress,
)
from openai_async.resources.parallel import run_all
from openai_async.testing import Failure, LocalServer

pytestmark = pytest.mark.virtual_time

PASSES = Failure(delay=0.01)
"""A step of the script that lets the request pass."""
DATA = bytes(range(100))
WHAT: Any = {"mime_type": "text/plain", "purpose": "user_data", "part_size": 30}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "large.txt"
    path.write_bytes(DATA)
    return path


async def content(client: AsyncClient, upload: Any) -> bytes:
    return await (await client.files.content(upload.file.id)).read()


def sent_parts(server: LocalServer) -> int:
    return sum(request.path.endswith("/parts") for request in server.requests)


# --- step by step -------------------------------------------------------------------------------


async def test_parts_make_a_file_in_the_given_order(client: AsyncClient) -> None:
    upload = await client.uploads.create(
        bytes=4, filename="a.txt", mime_type="text/plain", purpose="user_data"
    )
    assert (upload.status, upload.bytes, upload.file) == ("pending", 4, None)
    second = await client.uploads.parts.create(upload.id, data=b"34")
    first = await client.uploads.parts.create(upload.id, data=io.BytesIO(b"12"))
    assert first.upload_id == upload.id
    done = await client.uploads.complete(
        upload.id, part_ids=[first.id, second.id], md5=hashlib.md5(b"1234").hexdigest()
    )
    assert done.status == "completed"
    assert done.file is not None
    assert (done.file.filename, done.file.bytes) == ("a.txt", 4)
    assert await content(client, done) == b"1234"


async def test_a_cancelled_upload_accepts_nothing_more(client: AsyncClient) -> None:
    upload = await client.uploads.create(
        bytes=4, filename="a.txt", mime_type="text/plain", purpose="user_data"
    )
    assert (await client.uploads.cancel(upload.id)).status == "cancelled"
    with pytest.raises(BadRequestError, match="is cancelled"):
        await client.uploads.parts.create(upload.id, data=b"1")


async def test_a_part_has_to_be_a_file(client: AsyncClient, server: LocalServer) -> None:
    with pytest.raises(InvalidArgumentError, match="data is a str"):
        await client.uploads.parts.create("upload_1", data="text")  # type: ignore[arg-type]
    assert server.requests == []


# --- in parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "bytes", "open"])
async def test_a_file_is_sent_in_parts(client: AsyncClient, path: Path, kind: str) -> None:
    with path.open("rb") as file:
        content_of: Any = {"path": path, "bytes": DATA, "open": file}[kind]
        upload = await client.uploads.upload_file_chunked(
            file=content_of,
            filename="large.txt" if kind == "bytes" else None,
            md5=hashlib.md5(DATA).hexdigest(),
            **WHAT,
        )
        assert not file.closed
    assert (upload.status, upload.filename) == ("completed", "large.txt")
    assert await content(client, upload) == DATA


async def test_one_part_is_enough_for_a_small_file(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    await client.uploads.upload_file_chunked(file=path, mime_type="a/b", purpose="user_data")
    assert sent_parts(server) == 1


async def test_no_more_parts_than_concurrency_are_sent_at_the_same_time(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    server.script(PASSES)  # the creation
    server.script(Failure(delay=10), times=10)
    await client.uploads.upload_file_chunked(file=path, **WHAT | {"part_size": 10}, concurrency=5)
    # Two rounds of five parts; the completion is not in the script.
    assert asyncio.get_running_loop().time() == pytest.approx(20, abs=1)


@pytest.mark.usefixtures("waits")
async def test_each_part_is_retried(client: AsyncClient, server: LocalServer, path: Path) -> None:
    server.script(PASSES, Failure(500), Failure(429))
    upload = await client.uploads.upload_file_chunked(file=path, **WHAT, max_retries=2)
    assert await content(client, upload) == DATA
    assert sent_parts(server) == 6


async def test_a_failed_upload_is_resumed(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    server.script(PASSES, PASSES, PASSES, Failure(500))
    with pytest.raises(InternalServerError, match="2 of 4 parts have arrived") as caught:
        await client.uploads.upload_file_chunked(file=path, **WHAT, concurrency=1)
    progress = caught.value.upload
    assert progress is not None
    assert (progress.sent, progress.size, progress.part_size) == (2, 100, 30)
    # What another process has read from a file.
    progress = UploadProgress(**json.loads(json.dumps(attrs.asdict(progress))))
    server.reset()
    upload = await client.uploads.upload_file_chunked(file=path, **WHAT, resume=progress)
    assert await content(client, upload) == DATA
    assert (upload.id, sent_parts(server)) == (progress.upload_id, 2)


@pytest.mark.parametrize(
    ("failure", "helps"),
    [
        (Failure(408), True),
        (Failure(409), True),
        (Failure(429), True),
        (Failure(503), True),
        (Failure(400), False),
        (Failure(401), False),
        (Failure(403), False),
        (Failure(429, code="insufficient_quota"), False),
    ],
    ids=str,
)
async def test_only_errors_that_may_pass_advise_to_resume(
    client: AsyncClient, server: LocalServer, path: Path, failure: Failure, helps: bool
) -> None:
    server.script(PASSES, failure)
    with pytest.raises(APIStatusError) as caught:
        await client.uploads.upload_file_chunked(file=path, **WHAT, concurrency=1)
    assert ("resume=error.upload" in str(caught.value)) is helps
    assert caught.value.upload is not None


async def test_a_lost_connection_advises_to_resume(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    server.script(PASSES, Failure(cut_after=0))
    with pytest.raises(APIConnectionError, match="0 of 4 parts have arrived: pass resume="):
        await client.uploads.upload_file_chunked(file=path, **WHAT, concurrency=1)


async def test_a_failed_completion_is_resumed_without_sending_parts(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    server.script(*[PASSES] * 5, Failure(500))
    with pytest.raises(InternalServerError, match="4 of 4 parts") as caught:
        await client.uploads.upload_file_chunked(file=path, **WHAT)
    server.reset()
    upload = await client.uploads.upload_file_chunked(file=path, **WHAT, resume=caught.value.upload)
    assert await content(client, upload) == DATA
    assert sent_parts(server) == 0


async def test_a_cancelled_call_is_resumed(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    server.script(PASSES, PASSES, Failure(delay=1000))
    progress = UploadProgress()
    what = {**WHAT, "concurrency": 1, "resume": progress}
    call = asyncio.create_task(client.uploads.upload_file_chunked(file=path, **what))
    await server.received(3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert progress.sent == 1
    upload = await client.uploads.upload_file_chunked(file=path, **what)
    assert await content(client, upload) == DATA


@pytest.mark.parametrize("kind", ["path", "bytes", "open"])
async def test_a_file_that_has_changed_since_is_not_resumed(
    client: AsyncClient, server: LocalServer, path: Path, kind: str
) -> None:
    async def upload(**more: Any) -> Any:
        with path.open("rb") as file:
            sources: dict[str, Any] = {"path": path, "bytes": path.read_bytes(), "open": file}
            what = {**WHAT, "file": sources[kind], "filename": "a.txt", "concurrency": 1}
            return await client.uploads.upload_file_chunked(**what, **more)

    server.script(PASSES, PASSES, PASSES, Failure(500))
    with pytest.raises(InternalServerError) as caught:
        await upload()
    server.reset()
    path.write_bytes(DATA[:59] + b"?" + DATA[60:])  # the last byte of the second part
    with pytest.raises(InvalidArgumentError, match="has changed since its upload began: upload it"):
        await upload(resume=caught.value.upload)
    assert server.requests == []
    path.write_bytes(DATA[:60] + bytes(40))  # what has not arrived may still change
    done = await upload(resume=caught.value.upload)
    assert await content(client, done) == DATA[:60] + bytes(40)


async def test_the_content_that_has_arrived_counts_and_not_that_of_an_earlier_attempt(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    server.script(PASSES, Failure(500, delay=10), PASSES, Failure(delay=1000))
    progress = UploadProgress()
    what = {**WHAT, "concurrency": 1, "resume": progress, "max_retries": 1}
    call = asyncio.create_task(client.uploads.upload_file_chunked(file=path, **what))
    first = await server.received(2)
    while not first.body:  # noqa: ASYNC110 - a file that changes while it is read is an error
        await asyncio.sleep(0)
    path.write_bytes(bytes(100))
    await server.received(4)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert progress.sent == 1
    upload = await client.uploads.upload_file_chunked(file=path, **what)
    assert await content(client, upload) == bytes(100)


async def test_a_part_that_was_accepted_without_being_read_is_sent_again(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    async def accept(request: Request, send: Send) -> Response:
        if request.url.path.endswith("/parts"):
            return Response(status=200, headers={}, body=b'{"id": "part_1"}')
        return await send(request)

    hasty = client.with_options(middlewares=[accept])
    with pytest.raises(BadRequestError, match="part_ids") as caught:
        await hasty.uploads.upload_file_chunked(file=path, **WHAT)
    upload = await client.uploads.upload_file_chunked(file=path, **WHAT, resume=caught.value.upload)
    assert await content(client, upload) == DATA
    assert sent_parts(server) == 4


async def test_a_wrong_md5_is_refused_by_the_server(client: AsyncClient, path: Path) -> None:
    with pytest.raises(BadRequestError, match="md5") as caught:
        await client.uploads.upload_file_chunked(file=path, **WHAT, md5="0" * 32)
    assert caught.value.upload is not None


async def test_a_file_that_changes_meanwhile_is_not_completed(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    server.script(PASSES, Failure(delay=10))
    call = asyncio.create_task(client.uploads.upload_file_chunked(file=path, **WHAT))
    await server.received(2)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(OpenAIError, match="changed while it was sent"):
        await call


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": b"x"}, "filename is missing"),
        ({"file": b"", "filename": "a"}, "file is empty"),
        ({"file": "large.txt"}, "file is a str"),
        ({"bytes": 99}, "bytes is 99, but the file has 100"),
        ({"part_size": 0}, "part_size is 0"),
        ({"part_size": 2**26 + 1}, "part_size is 67,108,865: pass at most 67,108,864 bytes"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"resume": "upload_1"}, "resume has type str"),
        (
            {"resume": UploadProgress(upload_id="u", size=9, part_size=30, part_ids=[None])},
            "resume is for a file of 9 bytes",
        ),
        (
            {"resume": UploadProgress(upload_id="u", size=100, part_size=30, part_ids=[None])},
            "resume has 1 part_ids",
        ),
        (
            {"resume": UploadProgress(upload_id="u", size=100, part_size=30, part_ids=["p"] * 4)},
            "resume has 0 part_hashes",
        ),
        (
            {
                "resume": UploadProgress(
                    upload_id="u", size=100, part_size=30, part_ids=[None] * 4
                ),
                "part_size": 40,
            },
            "in parts of 30: pass the same file and part_size",
        ),
    ],
    ids=str,
)
async def test_arguments_are_checked_before_anything_is_sent(
    client: AsyncClient, server: LocalServer, path: Path, changes: Any, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        await client.uploads.upload_file_chunked(**{"file": path, **WHAT, **changes})
    assert server.requests == []


async def test_a_pipe_cannot_be_sent_in_parts(client: AsyncClient, server: LocalServer) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with (
        os.fdopen(reading, "rb") as file,
        pytest.raises(InvalidArgumentError, match="can be read only once"),
    ):
        await client.uploads.upload_file_chunked(file=file, filename="a", **WHAT)
    assert server.requests == []


async def test_an_unknown_keyword_is_a_type_error(client: AsyncClient, path: Path) -> None:
    with pytest.raises(TypeError, match="did you mean 'part_size'"):
        await client.uploads.upload_file_chunked(file=path, **WHAT | {"part_siz": 3})


async def test_a_failure_of_the_creation_has_nothing_to_resume(
    client: AsyncClient, server: LocalServer, path: Path
) -> None:
    server.script(Failure(500))
    with pytest.raises(APIError) as caught:
        await client.uploads.upload_file_chunked(file=path, **WHAT)
    assert caught.value.upload is None


# --- several parts at a time ---


async def test_a_cancellation_is_not_swallowed_if_a_part_fails_at_the_same_time() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        task.cancel()
        msg = "no"
        raise OpenAIError(msg)

    async def run() -> None:
        await run_all([fail()])

    task = asyncio.create_task(run())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
