"""Does anything of a typed answer stay behind: of 10,000 calls, and of 10,000 types?

    python benchmarks/made_types.py [--calls 10000] [--types 10000]

Half of the calls that ask for one type succeed, half do not fit. Then each round asks twice for a
type, and offers a tool, that were made for it at run time: attrs classes, dataclasses, TypedDicts,
NamedTuples, Structs, and unions of two. A middleware answers, so that nothing else is measured.

After the first tenth, which fills the caches, memory may not grow by 2 MB; otherwise the exit code
is 1. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import json
import linecache
import resource
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import attrs
import msgspec

from openai_async import APIResponseValidationError, AsyncClient
from openai_async.http.request import Request, Response
from openai_async.middleware import Send

MAX_GROWTH_MB = 2.0
READINGS = 10
FIELDS = {"number": int, "names": list[str]}
FITS = '{"number": 1, "names": ["a"]}'
MISFIT = '{"number": "one", "names": ["a"]}'


@attrs.define
class Known:
    number: int
    names: list[str]


def made(number: int) -> Any:
    """A new type, of another kind each time."""
    name, kind = f"Made{number}", number % 6
    if kind == 0:
        return attrs.make_class(name, {key: attrs.field(type=hint) for key, hint in FIELDS.items()})
    if kind == 1:
        return dataclasses.make_dataclass(name, [*FIELDS.items()])
    if kind == 2:
        return TypedDict(name, FIELDS)  # type: ignore[misc]
    if kind == 3:
        return NamedTuple(name, [*FIELDS.items()])  # type: ignore[misc]
    if kind == 4:
        return msgspec.defstruct(name, [*FIELDS.items()])
    return made(6 * number) | made(6 * number + 1)


def made_tool() -> Callable[..., str]:
    def look_up(number: int, names: list[str]) -> str:
        return f"{number} {names}"

    return look_up


async def answer(request: Request, send: Send) -> Response:
    """A middleware that answers as a model would: FITS or MISFIT, as the question says."""
    assert isinstance(request.body, bytes)
    body = json.loads(request.body)
    text = body["messages"][0]["content"]
    if "value" in body["response_format"]["json_schema"]["schema"]["properties"]:
        text = f'{{"value": {text}}}'
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Response(status=200, headers={}, body=json.dumps({"choices": [choice]}).encode())


async def ask(client: AsyncClient, kind: Any, text: str, **tools: Any) -> None:
    parse: Any = client.chat.completions.parse
    messages = [{"role": "user", "content": text}]
    try:
        completion = await parse(model="m", messages=messages, response_format=kind, **tools)
    except APIResponseValidationError:
        assert text == MISFIT
    else:
        assert text == FITS
        assert completion.parsed is not None


async def ask_known(client: AsyncClient, number: int) -> None:
    await ask(client, Known, MISFIT if number % 2 else FITS)


async def ask_made(client: AsyncClient, number: int) -> None:
    kind, tools = made(number), [made_tool()]
    for text in (FITS, MISFIT):
        await ask(client, kind, text, tools=tools)


def memory_mb() -> float:
    """The resident memory of this process."""
    linecache.clearcache()  # where attrs keeps the source of each class that it makes, for ever
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def readings(total: int, work: Callable[[int], Awaitable[None]]) -> list[float]:
    """The memory after each tenth of the work."""
    found = []
    for part in range(READINGS):
        for number in range(total * part // READINGS, total * (part + 1) // READINGS):
            await work(number)
        found.append(memory_mb())
    return found


async def measure(calls: int, types: int) -> bool:
    print("| parse | times | RSS MB, warm | at the end | at most |")
    print("| --- | --: | --: | --: | --: |")
    flat = True
    async with AsyncClient(
        api_key="k", base_url="http://localhost", middlewares=[answer]
    ) as client:
        for name, total, work in (
            ("of one type", calls, ask_known),
            ("of types made at run time, with a tool", types, ask_made),
        ):
            first, *later = await readings(total, lambda number: work(client, number))  # noqa: B023
            grown = max(later) - first
            print(f"| {name} | {total:,} | {first:.1f} | {later[-1] - first:+.2f} | {grown:+.2f} |")
            flat = flat and grown < MAX_GROWTH_MB
    return flat


def main() -> int:
    parser = argparse.ArgumentParser(description="Does anything of a typed answer stay behind?")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--types", type=int, default=10_000)
    arguments = parser.parse_args()
    if asyncio.run(measure(arguments.calls, arguments.types)):
        return 0
    print(f"FAILED: memory grew by {MAX_GROWTH_MB} MB or more", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
