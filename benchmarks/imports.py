"""How long a fresh interpreter takes to get its first answer, and to print `--help`.

    python benchmarks/imports.py

Interpreters take turns over several rounds; the median counts. CPU time is compared, since
the wall time of the first program mostly measures the disk. The answers come from the canned
server; a program that does not get the right one ends the measurement.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from importlib.util import find_spec

from attrs import frozen

import canned
import dependencies
import processes
from figures import Figures
from peers import HEADERS, KEY, MESSAGES, MODEL

ROUNDS = 11
# Else every start would compile what has changed since it was installed.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

# The library that this package reads JSON with.
_JSON = "msgspec" if "msgspec" in dependencies.packages() else "orjson"
_DUMPS, _LOADS = {
    "orjson": ("orjson.dumps", "orjson.loads"),
    "msgspec": ("msgspec.json.encode", "msgspec.json.decode"),
}[_JSON]


@frozen
class Start:
    """A program that ends at once."""

    name: str
    label: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()


def _first_answer(imports: str, main: str) -> tuple[str, ...]:
    """The arguments of Python for a program that asks for one chat completion."""
    code = f"""\
import asyncio, sys
{imports}
async def main(url):
{main}
    if content != {canned.CHAT_TEXT!r}:
        sys.exit("a wrong answer")
asyncio.run(main(sys.argv[1]))
"""
    return "-c", code


def _of_client(package: str, client: str) -> tuple[str, ...]:
    main = f"""\
    async with {client}(base_url=url, api_key={KEY!r}) as client:
        result = await client.chat.completions.create(model={MODEL!r}, messages={MESSAGES!r})
    content = result.choices[0].message.content"""
    return _first_answer(f"import {package}", main)


_BY_HAND = f"""\
    async with aiohttp.ClientSession(headers={HEADERS!r}) as session:
        data = {_DUMPS}({{"model": {MODEL!r}, "messages": {MESSAGES!r}}})
        async with session.post(url + "/chat/completions", data=data) as response:
            response.raise_for_status()
            result = {_LOADS}(await response.read())
    content = result["choices"][0]["message"]["content"]"""

STARTS = (
    Start(
        "by-hand",
        f"`import aiohttp, attrs, cattrs, {_JSON}`, and the first answer by hand",
        _first_answer(f"import aiohttp, attrs, cattrs, {_JSON}", _BY_HAND),
    ),
    Start(
        "ours",
        "`import openai_async`, a client and its first answer",
        _of_client("openai_async", "openai_async.AsyncClient"),
    ),
    Start(
        "ours-client",
        "`import openai_async; openai_async.AsyncClient(api_key='x')`",
        ("-c", "import openai_async; openai_async.AsyncClient(api_key='x')"),
    ),
    Start(
        "help",
        "`python -m openai_async --help`",
        ("-m", "openai_async", "--help"),
        ("cyclopts", "rich"),
    ),
    Start("official-import", "`import openai`", ("-c", "import openai"), ("openai",)),
    Start(
        "official",
        "`import openai`, a client and its first answer",
        _of_client("openai", "openai.AsyncOpenAI"),
        ("openai",),
    ),
)


def measure(figures: Figures, url: str, rounds: int = ROUNDS) -> None:
    """Milliseconds, under the works "import" (CPU time) and "import-wall"."""
    starts = [start for start in STARTS if all(map(find_spec, start.needs))]
    for start in starts:
        _run(start, url)  # compiles what is not compiled yet
    for number in range(rounds):
        first = number % len(starts)
        for start in starts[first:] + starts[:first]:
            cpu, wall = _run(start, url)
            figures.add(("import", start.name), cpu * 1e3)
            figures.add(("import-wall", start.name), wall * 1e3)


def _run(start: Start, url: str) -> tuple[float, float]:
    """Seconds of CPU and wall time."""
    clock, cpu = time.perf_counter(), _children()
    command = [sys.executable, *start.arguments]
    if start.arguments[0] == "-c":
        command.append(url)
    # In a session of its own, so that Ctrl-C does not make it say anything.
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, env=_ENVIRONMENT, start_new_session=True
    )
    if done.returncode != 0:
        msg = f"{start.label}: ended with exit code {done.returncode}"
        raise processes.WorkerError(msg)
    return _children() - cpu, time.perf_counter() - clock


def _children() -> float:
    """CPU seconds of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description="How long does a fresh interpreter take?")
    parser.parse_args()
    figures = Figures()
    try:
        with processes.running_server() as url:
            measure(figures, url)
    except processes.WorkerError as error:
        sys.exit(str(error))
    for start in STARTS:
        cpu, wall = (figures.median((work, start.name)) for work in ("import", "import-wall"))
        ratio = figures.spread(("import", start.name), ("import", "by-hand"))
        if cpu is None or wall is None or ratio is None:
            print(f"left out: {start.label} needs {', '.join(start.needs)}")
        else:
            print(f"{cpu:5.0f} ms CPU  {wall:5.0f} ms wall  {ratio.median:4.2f} x  {start.label}")


if __name__ == "__main__":
    processes.run(main)
