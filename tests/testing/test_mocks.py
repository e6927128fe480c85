"""Mocks and recordings of other packages see and answer every request of the client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import vcr
from aioresponses import CallbackResult

from openai_async import AsyncClient, InternalServerError
from openai_async.testing import Failure, LocalServer, aioresponses

from ..conftest import BASE_URL
from ..raw_server import DONE, chunk, sse

pytestmark = pytest.mark.virtual_time

HELLO: Any = [{"role": "user", "content": "Hello"}]
CHAT = f"{BASE_URL}/chat/completions"
ANSWER = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}


@pytest.fixture
def cassette(tmp_path: Path) -> str:
    return str(tmp_path / "answers.yaml")


def recording(cassette: str, **options: Any) -> Any:
    return vcr.use_cassette(cassette, filter_headers=["authorization"], **options)


async def all_kinds(url: str) -> tuple[str | None, str, int]:
    """What a plain call, a streamed one and a GET say."""
    async with AsyncClient(base_url=url, api_key="sk-secret-0123456789") as client:
        create = client.chat.completions.create
        plain = (await create(model="gpt-4o", messages=HELLO)).text
        stream = create(model="gpt-4o", messages=HELLO, stream=True)
        return (
            plain,
            "".join([text async for text in stream.text()]),
            len(await client.models.list()),
        )


# --- aioresponses ---


async def test_a_mocked_answer_is_an_answer(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    mocked.post(CHAT, payload=ANSWER)
    result = await mocked_client.chat.completions.create(model="m", messages=HELLO)
    assert result.text == "Hi"


async def test_a_mocked_stream_is_a_stream(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    body = sse(chunk("H")) + sse(chunk("i")) + sse(chunk(finish="stop")) + DONE
    mocked.post(CHAT, body=body, content_type="text/event-stream")
    stream = mocked_client.chat.completions.create(model="m", messages=HELLO, stream=True)
    assert [text async for text in stream.text()] == ["H", "i"]


async def test_a_mocked_answer_may_come_from_a_function(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    mocked.post(CHAT, callback=lambda url, **_: CallbackResult(payload=ANSWER))
    result = await mocked_client.chat.completions.create(model="m", messages=HELLO)
    assert result.text == "Hi"


async def test_after_the_mock_requests_reach_the_network_again(
    server: LocalServer, client: AsyncClient
) -> None:
    with aioresponses() as mocked:
        mocked.get(f"{server.url}/models", payload={"data": []})
        assert len(await client.models.list()) == 0
    assert len(await client.models.list()) > 0
    assert len(server.requests) == 1


def test_without_aioresponses_the_rest_works_and_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['aioresponses'] = None\n"
        "from openai_async.testing import *\n"
        "LocalServer()\n"
        "try: from openai_async.testing import aioresponses\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert 'pip install "openai_async[testing]"' in done.stdout


# --- vcrpy ---


async def test_a_recording_answers_as_the_server_did(server: LocalServer, cassette: str) -> None:
    with recording(cassette):
        recorded = await all_kinds(server.url)
    assert len(server.requests) == 3
    with recording(cassette, record_mode="none") as played:
        assert await all_kinds(server.url) == recorded
        assert played.play_count == 3
    assert len(server.requests) == 3
    assert "secret" not in Path(cassette).read_text()


async def test_a_recorded_failure_is_the_same_failure(server: LocalServer, cassette: str) -> None:
    server.script(Failure(503, message="The model is loading."))
    for mode in ("once", "none"):
        with recording(cassette, record_mode=mode):
            async with AsyncClient(base_url=server.url, api_key="k", max_retries=0) as client:
                with pytest.raises(InternalServerError, match="The model is loading"):
                    await client.models.list()
    assert len(server.requests) == 1
