"""What a workload does: one call, which checks what was received, and how calls are measured.

A peer that has not read what the server sent ends the whole comparison.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import canned
import machine
from peers import Peer, Read

Call = Callable[[Peer], Awaitable[None]]
"""Does the work of a workload once."""
Run = Callable[[Peer, int, int], Awaitable[float]]
"""Makes `calls` calls, `concurrency` at a time; returns the CPU seconds that they took."""


class WrongAnswerError(Exception):
    """A peer has not read what the server sent."""


def check(came: object, wanted: object) -> None:
    if came != wanted:
        msg = f"read {came}, but {wanted} was sent"
        raise WrongAnswerError(msg)


async def repeat(call: Callable[[], Awaitable[object]], times: int, concurrency: int) -> None:
    """Make `times` calls, `concurrency` at a time."""
    turns = iter(range(times))  # shared: each free task takes the next

    async def task() -> None:
        for _ in turns:
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(times, concurrency)):
            group.create_task(task())


def each(call: Call) -> Run:
    """Calls that are measured from beginning to end."""

    async def run(peer: Peer, calls: int, concurrency: int) -> float:
        started = machine.cpu_seconds()
        await repeat(lambda: call(peer), calls, concurrency)
        return machine.cpu_seconds() - started

    return run


async def chat(peer: Peer) -> None:
    check(await peer.chat(), len(canned.CHAT_TEXT))


async def models(peer: Peer) -> None:
    check(await peer.models(), canned.MODELS)


async def image(peer: Peer) -> None:
    check(await peer.image(), canned.IMAGE_SIZE)


def stream(tokens: int, model: str) -> Call:
    async def call(peer: Peer) -> None:
        wanted = Read(canned.chunks(tokens), canned.stream_length(tokens))
        check(await peer.stream(tokens, model), wanted)

    return call


def events(tokens: int, model: str) -> Call:
    async def call(peer: Peer) -> None:
        wanted = Read(canned.chunks(tokens), canned.stream_length(tokens))
        check(await peer.events(tokens, model), wanted)

    return call


def text(tokens: int, model: str) -> Call:
    async def call(peer: Peer) -> None:
        came = await peer.text(tokens, model)
        check(came.characters, canned.stream_length(tokens))
        if came.pieces not in (tokens, canned.chunks(tokens)):  # with and without the empty ones
            check(came.pieces, tokens)

    return call


def completion(tokens: int, model: str) -> Call:
    async def call(peer: Peer) -> None:
        check(await peer.completion(tokens, model), Read(1, canned.stream_length(tokens)))

    return call


async def first_chunks(peer: Peer, calls: int, concurrency: int) -> float:
    """Streams up to their first chunk. The rest is read too, so that connections are reused as in a
    program, but is not measured. The server sends it when it receives another request, and so never
    during the measurement.
    """
    cpu = 0.0
    for start in range(0, calls, concurrency):
        number = min(concurrency, calls - start)
        started = machine.cpu_seconds()
        streams = await asyncio.gather(*(peer.open("first") for _ in range(number)))
        cpu += machine.cpu_seconds() - started
        await chat(peer)
        rests = await asyncio.gather(*(stream.rest() for stream in streams))
        for opened, rest in zip(streams, rests, strict=True):
            check(opened.role, canned.FIRST_ROLE)
            check(rest, canned.REST_OF_FIRST)
    return cpu


def many(way: str) -> Run:
    """Requests that are all sent by one call of this package."""

    async def run(peer: Peer, calls: int, concurrency: int) -> float:
        sent = await peer.many(way, calls, concurrency)
        check((sent.answers, sent.tokens), (calls, calls * canned.TOKENS))
        return sent.cpu

    return run
