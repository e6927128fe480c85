"""What an open stream keeps in memory, and what an image takes while it is fetched.

Both look at the resident memory of this process, so each runs in a fresh one.
"""

from __future__ import annotations

import asyncio
import gc

import canned
import machine
from calls import check
from peers import HangUp, Peer

OPENING_AT_ONCE = 100
WARM_UP = 50


async def open_streams(peer: Peer, streams: int) -> float:
    """Bytes for each of so many streams that are open at the same time."""
    # What is made once, for all streams, is not to be counted; nor is it to be left for later.
    for _ in range(2):
        await (await hold(peer))()
    gc.collect()
    before = machine.memory()
    held: list[HangUp] = []
    turns = iter(range(streams))

    async def opening() -> None:
        for _ in turns:
            held.append(await hold(peer))

    await asyncio.gather(*(opening() for _ in range(OPENING_AT_ONCE)))
    gc.collect()
    grown = machine.memory() - before
    check(len(held), streams)
    for hang_up in held:
        await hang_up()
    return grown / streams


async def hold(peer: Peer) -> HangUp:
    """Open a stream that falls silent after its first chunk; return a function that closes it."""
    opened = await peer.open("hold")
    check(opened.role, canned.FIRST_ROLE)
    return opened.hang_up


async def image_peak(peer: Peer) -> float:
    """How often the picture's size the memory grows, at most, while one is fetched."""
    for _ in range(WARM_UP):
        await peer.chat()
    gc.collect()
    before = machine.memory()
    machine.reset_peak()
    size = await peer.image()
    check(size, canned.IMAGE_SIZE)
    return (machine.peak_memory() - before) / canned.IMAGE_SIZE
