"""What the pool changes in aiohttp goes unnoticed on the wire."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from openai_async import AsyncClient
from openai_async.pool import _ClientRequest

from .raw_server import Exchange, RawServer

JSON = {"Content-Type": "application/json", "Authorization": "Bearer sk-1", "X-Two": "2"}


async def ok(exchange: Exchange) -> None:
    await exchange.whole(b"{}")


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("POST", CIMultiDict(JSON), b'{"model": "m"}'),
        ("POST", CIMultiDict(JSON), b""),
        ("POST", CIMultiDict({**JSON, "Host": "example.org"}), b"{}"),
        ("POST", CIMultiDict([*JSON.items(), ("X-Two", "3")]), b"{}"),
        ("POST", CIMultiDict({"Accept": "text/plain"}), b"no content type"),
        ("POST", JSON, b"a plain dict of headers"),
        ("POST", CIMultiDict(JSON), None),
        ("GET", CIMultiDict({"Accept": "application/json"}), None),
        ("DELETE", None, None),
    ],
)
async def test_requests_are_those_of_aiohttps_own_class(
    raw: RawServer, method: str, headers: Any, body: bytes | None
) -> None:
    raw.answer = ok
    for request_class in (aiohttp.ClientRequest, _ClientRequest):
        async with (
            aiohttp.ClientSession(request_class=request_class) as session,
            session.request(method, f"http://127.0.0.1:{raw.port}/v1", headers=headers, data=body),
        ):
            pass
    theirs, ours = raw.exchanges
    assert sorted(ours.head.split("\r\n")) == sorted(theirs.head.split("\r\n"))
    assert ours.head.split("\r\n")[:2] == theirs.head.split("\r\n")[:2]
    assert ours.body == theirs.body


async def test_aiohttp_still_asks_what_is_overridden(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renamed in aiohttp, they would be dead code: the wire would be the same, at the old price."""
    raw.answer = ok
    asked: list[str] = []

    def spy(name: str) -> None:
        original = getattr(_ClientRequest, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            asked.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(_ClientRequest, name, called)

    spy("update_headers")
    spy("update_body_from_data")
    async with AsyncClient(base_url=raw.url, api_key="local") as client:
        await client.request("POST", "/anything", json={})
    assert asked == ["update_headers", "update_body_from_data"]
