"""A spoken answer in a stream: put together, and referred to in the next request."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async import AsyncClient
from openai_async.types.chat import ChoiceDeltaAudio
from openai_async.wire.assembly import Assembly

from ..raw_server import DONE, Exchange, RawServer, chunk
from .test_stream import ask

pytestmark = pytest.mark.virtual_time


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def piece(**audio: Any) -> dict[str, Any]:
    return chunk(audio=audio)


SPOKEN = [
    piece(id="audio_1", transcript="Hel"),
    piece(transcript="lo"),
    piece(data=encoded(b"a")),  # "YQ==": padding of its own
    piece(data=encoded(b"bcd")),
    piece(data=encoded(b"ef")),
    piece(expires_at=1700000000),
    chunk(finish="stop"),
]


async def speak(exchange: Exchange) -> None:
    await exchange.stream(*SPOKEN, DONE)


async def test_a_spoken_answer_is_put_together(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = speak
    completion = await ask(raw_client).completion()
    audio = completion.choices[0].message.audio
    assert audio is not None
    assert base64.b64decode(audio.data, validate=True) == b"abcdef"
    assert (audio.id, audio.transcript, audio.expires_at) == ("audio_1", "Hello", 1700000000)


async def test_the_audio_of_a_delta_is_typed(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = speak
    audio = [one.choices[0].delta.audio async for one in ask(raw_client)]
    assert [one and one.data for one in audio] == [None, None, "YQ==", "YmNk", "ZWY=", None, None]
    assert isinstance(audio[0], ChoiceDeltaAudio)
    assert (audio[0].id, audio[0].transcript) == ("audio_1", "Hel")


@given(st.lists(st.binary(max_size=7), max_size=6))
def test_each_piece_may_have_its_own_padding(parts: list[bytes]) -> None:
    assembly = Assembly()
    for part in parts:
        assembly.add(piece(data=encoded(part)))
    assembly.add(piece(id="audio_1"))
    message = assembly.completion()["choices"][0]["message"]
    assert base64.b64decode(message["audio"].get("data", ""), validate=True) == b"".join(parts)


@given(st.binary(max_size=30), st.lists(st.integers(0, 40), max_size=4))
def test_base64_may_be_cut_anywhere(data: bytes, cuts: list[int]) -> None:
    text, assembly = encoded(data), Assembly()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, end in pairwise(places):
        assembly.add(piece(data=text[start:end]))
    assert assembly.completion()["choices"][0]["message"]["audio"]["data"] == text


async def test_what_is_not_base64_stays_as_it_came(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda e: e.stream(piece(data="Y=Q"), piece(data="?"), chunk(finish="stop"), DONE)
    audio = (await ask(raw_client).completion()).choices[0].message.audio
    assert audio is not None
    assert audio.data == "Y=Q?"


async def test_the_next_request_refers_to_it_by_its_id(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """As the API says; sent back as a whole, it would be megabytes in each further request."""
    raw.answer = speak
    message = (await ask(raw_client).completion()).choices[0].message
    messages: list[Any] = [message, message.to_dict(), {"role": "user", "content": "And?"}]
    await raw_client.chat.completions.create(model="m", messages=messages, stream=True).completion()
    first, second, _ = msgspec.json.decode(raw.exchanges[-1].body)["messages"]
    assert first == second == {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}
    assert message.audio is not None
    assert message.audio.data


@pytest.mark.parametrize("audio", [None, {"id": "audio_1"}, {"data": "AAAA"}])
async def test_other_audio_is_sent_as_it_is(
    raw: RawServer, raw_client: AsyncClient, audio: Any
) -> None:
    raw.answer = speak
    messages: list[Any] = [{"role": "assistant", "content": "Hi", "audio": audio}]
    await raw_client.chat.completions.create(model="m", messages=messages, stream=True).completion()
    assert msgspec.json.decode(raw.exchanges[-1].body)["messages"] == messages
