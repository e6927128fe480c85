"""One peer in a process of its own: commands in, CPU seconds out.

    python benchmarks/worker.py ours http://127.0.0.1:1234/v1
    python benchmarks/worker.py ours https://127.0.0.1:1234/v1 authority.pem

reads lines like {"work": "chat", "operations": 2000, "concurrency": 32} and answers each with a
line of JSON. One loop and one client for all of them, so that connections are warm, as in a server.
An error is one line on standard error; the exit code is 2 for a peer or command that does not
exist.
"""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import sys
import time
from collections.abc import Coroutine
from typing import Any, NoReturn

import orjson

import machine
import memory
from calls import repeat
from peers import PEERS, Kind, Peer
from works import WORKS

Answer = dict[str, float]

_NUMBERS = {
    **dict.fromkeys(WORKS, frozenset({"operations", "concurrency"})),
    "open-streams": frozenset({"streams"}),
    "image-peak": frozenset(),
}
"""What belongs to each command."""


class WrongCommandError(Exception):
    """A line asks for something that there is not."""


async def measure(peer: Peer, work: str, operations: int, concurrency: int) -> Answer:
    """So many operations, so many at a time: what they cost this process."""
    plan = WORKS[work]
    calls = max(1, operations // plan.size)
    # Connections that were dropped while this peer waited for its turn are no part of the work.
    await repeat(peer.chat, concurrency, concurrency)
    gc.collect()
    threshold = gc.get_threshold()
    if plan.gc_threshold is not None:
        gc.set_threshold(plan.gc_threshold)
    clock = time.perf_counter()
    cpu = await plan.run(peer, calls, concurrency)
    wall = time.perf_counter() - clock
    gc.set_threshold(*threshold)
    return {"cpu": cpu, "wall": wall, "operations": calls * plan.size}


async def _open_streams(peer: Peer, streams: int) -> Answer:
    return {"value": await memory.open_streams(peer, streams) / 1000}


async def _image_peak(peer: Peer) -> Answer:
    return {"value": await memory.image_peak(peer)}


def _parse(line: str) -> dict[str, Any]:
    """A command; `WrongCommandError` if it is none."""
    try:
        command = orjson.loads(line)
    except orjson.JSONDecodeError:
        command = None
    if not isinstance(command, dict) or not isinstance(command.get("work"), str):
        msg = f'not like {{"work": "chat", "operations": 2000, "concurrency": 32}}: {line.strip()}'
        raise WrongCommandError(msg)
    name, numbers = command["work"], {key: command[key] for key in command if key != "work"}
    if name not in _NUMBERS:
        msg = f"{name}: not among {', '.join(_NUMBERS)}"
        raise WrongCommandError(msg)
    whole = all(type(number) is int and number >= 1 for number in numbers.values())
    if numbers.keys() != _NUMBERS[name] or not whole:
        wanted = " and ".join(sorted(_NUMBERS[name])) or "nothing"
        msg = f"{name}: takes {wanted} (numbers from 1), not {orjson.dumps(numbers).decode()}"
        raise WrongCommandError(msg)
    return command


def work(peer: Peer, command: dict[str, Any]) -> Coroutine[Any, Any, Answer]:
    """What a command asks for."""
    if command["work"] == "open-streams":
        return _open_streams(peer, command["streams"])
    if command["work"] == "image-peak":
        return _image_peak(peer)
    return measure(peer, **command)


def _end(message: str, code: int) -> NoReturn:
    """One line, and away: not what a loop has to say of a thousand broken connections."""
    print(message, file=sys.stderr, flush=True)
    os._exit(code)


def _first(error: BaseException) -> BaseException:
    """The first of a group: the others are mostly the same."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _kind(arguments: list[str]) -> Kind:
    if len(arguments) not in (2, 3):
        _end("worker.py takes a peer, a URL and, for TLS, the authority's certificate", 2)
    kind = PEERS.get(arguments[0])
    if kind is None:
        _end(f"{arguments[0]}: not among {', '.join(PEERS)}", 2)
    if kind.missing:
        _end(f"{arguments[0]}: needs {' and '.join(kind.missing)}", 2)
    return kind


def _answer_all(kind: Kind, url: str, *authority: str) -> None:
    factory = None
    if kind.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        trust = ssl.create_default_context(cafile=authority[0]) if authority else None
        peer = kind.make(url, trust)
        for line in sys.stdin:
            try:
                answer = runner.run(work(peer, _parse(line)))
                print(orjson.dumps(answer).decode(), flush=True)
            except WrongCommandError as error:
                _end(str(error), 2)
            except Exception as error:
                first = _first(error)
                if isinstance(first, NotImplementedError):
                    _end(f"{kind.label}: does not do {line.strip()}", 2)
                _end(f"{kind.label}: {type(first).__name__}: {first}", 1)
        runner.run(peer.close())


def main() -> None:
    kind = _kind(sys.argv[1:])
    machine.pin(0)
    machine.allow_many_files()
    _answer_all(kind, *sys.argv[2:])


if __name__ == "__main__":
    main()
