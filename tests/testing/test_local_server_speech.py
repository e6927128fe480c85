"""LocalServer's spoken answers."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

import aiohttp
import pytest

from openai_async.testing import LocalServer

from .asking import HELLO, chat, content

pytestmark = pytest.mark.virtual_time

SPOKEN = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
STREAMED = {**SPOKEN, "audio": {"voice": "alloy", "format": "pcm16"}}


async def test_a_spoken_answer_has_sound_and_a_transcript(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, written = await chat(server, http)
    _, answer = await chat(server, http, **SPOKEN)
    message = answer["choices"][0]["message"]
    assert message["content"] is None
    assert message["audio"]["transcript"] == content(written)
    assert message["audio"]["id"].startswith("audio_")
    with wave.open(io.BytesIO(base64.b64decode(message["audio"]["data"]))) as sound:
        assert sound.getnframes() / sound.getframerate() > 0.1
    tokens = written["usage"]["completion_tokens"]
    assert answer["usage"]["completion_tokens_details"]["audio_tokens"] == tokens
    assert answer["usage"]["completion_tokens"] == tokens


async def test_a_spoken_answer_is_streamed_in_pieces(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, plain = await chat(server, http, **STREAMED)
    body = {**HELLO, **STREAMED, "stream": True}
    async with http.post(f"{server.url}/chat/completions", json=body) as response:
        *events, _, _ = (await response.text()).split("\n\n")
    choices = [json.loads(one.removeprefix("data: "))["choices"][0] for one in events]
    first, *deltas, last = [one["delta"]["audio"] for one in choices if "audio" in one["delta"]]
    assert (first["id"][:6], [*last]) == ("audio_", ["expires_at"])
    audio = plain["choices"][0]["message"]["audio"]
    for name in ("transcript", "data"):
        assert "".join(one.get(name, "") for one in deltas) == audio[name]
    sound = b"".join(base64.b64decode(one["data"]) for one in deltas if "data" in one)
    assert sound == base64.b64decode(audio["data"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"modalities": ["video"]}, "modalities"),
        ({"modalities": "audio"}, "modalities"),
        ({"modalities": ["audio"]}, "audio"),
        ({"modalities": ["audio"], "audio": {"voice": "alloy"}}, "audio.format"),
        ({"modalities": ["audio"], "audio": {"voice": "alloy", "format": "mp3"}}, "audio.format"),
        ({**SPOKEN, "stream": True}, "audio.format"),
    ],
)
async def test_audio_that_cannot_be_made_is_refused(
    server: LocalServer, http: aiohttp.ClientSession, fields: dict[str, Any], param: str
) -> None:
    status, answer = await chat(server, http, **fields)
    assert (status, answer["error"]["param"]) == (400, param)


async def test_text_alone_is_written(server: LocalServer, http: aiohttp.ClientSession) -> None:
    _, answer = await chat(server, http, modalities=["text"])
    assert content(answer)
    assert "audio" not in answer["choices"][0]["message"]
