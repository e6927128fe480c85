"""CPU time of relaying a stream to a browser, and of copying its bytes by hand, in aiohttp.web.

    python benchmarks/relay.py

The relays take turns in one process; the server and the browsers have processes of their own.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

import aiohttp
from aiohttp import web

import processes
from openai_async import AsyncClient
from openai_async.web import sse_response
from peers import HEADERS, KEY, MESSAGES

ROUNDS, BROWSERS, TOKENS = 21, 16, 200
FORMS = ("raw", "chunks", "text", "ui")
WAYS = {
    "one": "one event a read",
    "burst": "20 events a read",
    "flood": "as fast as it is read",
}
MOST = 1.3  # what a raw relay may cost of copying by hand


class Relays:
    """An app with both kinds of relays."""

    def __init__(self, url: str, session: aiohttp.ClientSession, client: AsyncClient) -> None:
        self._url, self._session, self._client = f"{url}/chat/completions", session, client
        self.app = web.Application()
        self.app.router.add_get("/{form}/{model}", self._relay)

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        form, model = request.match_info["form"], request.match_info["model"]
        if form == "by-hand":
            return await self._copy(request, model)
        stream = self._client.chat.completions.create(
            model=model, messages=MESSAGES, max_tokens=TOKENS, stream=True
        )
        return await sse_response(request, stream, form=form)

    async def _copy(self, request: web.Request, model: str) -> web.StreamResponse:
        """By hand: no errors, no comments, and nobody notices that the browser has left."""
        body = {"model": model, "messages": MESSAGES, "max_tokens": TOKENS, "stream": True}
        async with self._session.post(self._url, json=body, headers=HEADERS) as answer:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            async for data in answer.content.iter_any():
                await response.write(data)
            await response.write_eof()
            return response


async def measure(url: str) -> bool:
    """Print the table; whether a raw relay costs no more than it may."""
    async with (
        aiohttp.ClientSession() as session,
        AsyncClient(base_url=url, api_key=KEY) as client,
    ):
        runner = web.AppRunner(Relays(url, session, client).app)
        await runner.setup()
        await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
        browsers = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--browse", site.name, stdin=-1, stdout=-1
        )
        assert browsers.stdin is not None
        assert browsers.stdout is not None
        ratios = {}
        for model, label in WAYS.items():
            times: dict[str, list[float]] = {form: [] for form in ("by-hand", *FORMS)}
            for number in range(ROUNDS + 1):
                turns = [*times]
                at = number % len(turns)
                for form in turns[at:] + turns[:at]:
                    browsers.stdin.write(f"/{form}/{model}\n".encode())
                    begun = time.process_time()
                    await browsers.stdout.readline()
                    if number > 0:  # the first is for connections and imports
                        times[form].append(time.process_time() - begun)
            for form in FORMS:
                pairs = zip(times[form], times["by-hand"], strict=True)
                ratios[model, form] = statistics.median(ours / theirs for ours, theirs in pairs)
            figures = ", ".join(f"{form} {ratios[model, form]:.2f}x" for form in FORMS)
            print(f"{label}: {figures}", flush=True)
        browsers.stdin.close()
        await browsers.wait()
        await runner.cleanup()
    return all(ratios[model, "raw"] <= MOST for model in WAYS)


async def browse(url: str) -> None:
    """For each path on standard input: many browsers at once, and a line when all have read."""
    async with aiohttp.ClientSession() as session:

        async def read(path: str) -> None:
            async with session.get(f"{url}{path}") as response:
                await response.read()

        for path in iter(sys.stdin.readline, ""):
            await asyncio.gather(*(read(path.strip()) for _ in range(BROWSERS)))
            print(flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--browse"]:
        asyncio.run(browse(sys.argv[2]))
        return
    with processes.running_server() as url:
        print("CPU time of a relay, to copying by hand (median):")
        if not asyncio.run(measure(url)):
            sys.exit(f"a raw relay costs more than {MOST} times")


if __name__ == "__main__":
    processes.run(main)
