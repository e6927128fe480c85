"""LocalServer's files and uploads: what it keeps, and what it refuses."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import pytest

from openai_async.testing import LocalServer

pytestmark = pytest.mark.virtual_time

UPLOAD = {"filename": "a.txt", "bytes": 4, "mime_type": "text/plain", "purpose": "user_data"}


async def call(
    server: LocalServer, http: aiohttp.ClientSession, method: str, path: str, **body: Any
) -> tuple[int, Any]:
    async with http.request(method, f"{server.url}{path}", **body) as response:
        return response.status, await response.json()


def form(content: bytes = b"1234", field: str = "file", **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in fields.items():
        data.add_field(name, value)
    data.add_field(field, content, filename="a.txt", content_type="text/plain")
    return data


async def test_a_file_of_another_client_is_kept(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    status, file = await call(server, http, "POST", "/files", data=form(purpose="batch"))
    assert (status, file["filename"], file["bytes"]) == (200, "a.txt", 4)
    assert file["expires_at"] - file["created_at"] == 30 * 24 * 3600
    async with http.get(f"{server.url}/files/{file['id']}/content") as response:
        assert (await response.read(), response.content_type) == (
            b"1234",
            "application/octet-stream",
        )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "purpose"),
        ({"purpose": "fun"}, "purpose"),
        ({"purpose": "batch", "field": "files"}, "file"),
        ({"purpose": "batch", "expires_after[anchor]": "now"}, "expires_after"),
        (
            {
                "purpose": "batch",
                "expires_after[anchor]": "created_at",
                "expires_after[seconds]": "5",
            },
            "expires_after[seconds]",
        ),
    ],
    ids=str,
)
async def test_a_bad_form_is_refused_by_field(
    server: LocalServer, http: aiohttp.ClientSession, fields: Any, param: str
) -> None:
    status, answer = await call(server, http, "POST", "/files", data=form(**fields))
    assert (status, answer["error"]["param"]) == (400, param)


async def test_a_body_that_is_not_a_form_is_refused(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    status, answer = await call(server, http, "POST", "/files", json={"purpose": "batch"})
    assert (status, "multipart/form-data" in answer["error"]["message"]) == (400, True)


@pytest.mark.parametrize(("query", "param"), [("limit=0", "limit"), ("order=up", "order")])
async def test_a_bad_query_of_a_list_is_refused(
    server: LocalServer, http: aiohttp.ClientSession, query: str, param: str
) -> None:
    status, answer = await call(server, http, "GET", f"/files?{query}")
    assert (status, answer["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/files/file-0"), ("DELETE", "/files/file-0"), ("GET", "/files/file-0/content")),
        *(("POST", "/uploads/u/cancel"), ("POST", "/uploads/u/complete")),
    ],
)
async def test_what_does_not_exist_is_not_found(
    server: LocalServer, http: aiohttp.ClientSession, method: str, path: str
) -> None:
    assert (await call(server, http, method, path, json={}))[0] == 404


@pytest.mark.parametrize("name", ["filename", "bytes", "mime_type", "purpose"])
async def test_an_upload_needs_all_its_fields(
    server: LocalServer, http: aiohttp.ClientSession, name: str
) -> None:
    fields = {key: value for key, value in UPLOAD.items() if key != name}
    status, answer = await call(server, http, "POST", "/uploads", json=fields)
    assert (status, answer["error"]["param"]) == (400, name)


@pytest.mark.parametrize(
    ("parts", "order", "message"),
    [
        ([b"12"], [0], "The parts have 2 bytes, not 4"),
        ([b"12", b"34"], [0, 0], "each once"),
        ([b"1234"], [], "Missing required parameter: 'part_ids'"),
    ],
)
async def test_an_upload_is_completed_with_exactly_its_parts(
    server: LocalServer,
    http: aiohttp.ClientSession,
    parts: list[bytes],
    order: list[int],
    message: str,
) -> None:
    _, upload = await call(server, http, "POST", "/uploads", json=UPLOAD)
    path = f"/uploads/{upload['id']}"
    ids = []
    for part in parts:
        _, answer = await call(server, http, "POST", f"{path}/parts", data=form(part, "data"))
        ids.append(answer["id"])
    body = {"part_ids": [ids[place] for place in order]}
    status, answer = await call(server, http, "POST", f"{path}/complete", json=body)
    assert (status, message in answer["error"]["message"]) == (400, True)
    # It may still be completed.
    assert (await call(server, http, "POST", f"{path}/cancel"))[1]["status"] == "cancelled"


async def test_an_uploaded_picture_can_be_edited(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    body: dict[str, Any] = {"prompt": "An otter", "model": "gpt-image-2"}
    _, file = await call(server, http, "POST", "/images/generations", json=body)
    body["images"] = [{"file_id": "file-0"}]
    assert (await call(server, http, "POST", "/images/edits", json=body))[0] == 404
    picture = base64.b64decode(file["data"][0]["b64_json"])
    _, stored = await call(server, http, "POST", "/files", data=form(picture, purpose="vision"))
    body["images"] = [{"file_id": stored["id"]}]
    status, edited = await call(server, http, "POST", "/images/edits", json=body)
    assert (status, len(edited["data"])) == (200, 1)
