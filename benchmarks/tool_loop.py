"""CPU time of one step of `run_tools`, and of the same loop by hand around `create`.

    python benchmarks/tool_loop.py

Both take turns in one process; the server is another one. A step is a request and a call.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from openai_async import AsyncClient

ROUNDS, RUNS, STEPS = 30, 20, 9
HI: list[Any] = [{"role": "user", "content": "Hi"}]


async def weather(city: str, unit: str = "C") -> dict[str, object]:
    """The weather now."""
    return {"city": city, "degrees": 21, "unit": unit}


DICT = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather now.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


async def by_hand(client: AsyncClient) -> str:
    messages = [*HI]
    while True:
        result = await client.chat.completions.create(model="m", messages=messages, tools=[DICT])
        message = result.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return result.text
        calls = message.tool_calls
        values = await asyncio.gather(
            *(weather(**json.loads(call.function.arguments)) for call in calls)
        )
        for call, value in zip(calls, values, strict=True):
            content = json.dumps(value)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})


async def ours(client: AsyncClient) -> str:
    return (await client.chat.completions.run_tools(model="m", messages=HI, tools=[weather])).text


async def answer(request: web.Request) -> web.Response:
    asked = (await request.json())["messages"]
    message: dict[str, Any] = {"role": "assistant", "content": "Done."}
    if len(asked) < 2 * STEPS:
        function = {"name": "weather", "arguments": '{"city":"Bern","unit":"C"}'}
        call = {"id": f"call_{len(asked)}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response({"id": "x", "created": 1, "model": "m", "choices": [choice]})


async def measured(work: Callable[[AsyncClient], Awaitable[str]], client: AsyncClient) -> float:
    began = time.process_time()
    for _ in range(RUNS):
        assert await work(client) == "Done."
    return (time.process_time() - began) / RUNS / (STEPS + 1) * 1e6


def serve(ready: Any) -> None:
    async def run() -> None:
        app = web.Application()
        app.router.add_post("/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


async def compare(port: int) -> None:
    times: dict[str, list[float]] = {"by hand": [], "ours": []}
    async with AsyncClient(base_url=f"http://127.0.0.1:{port}", api_key="k") as client:
        for _ in range(ROUNDS):
            times["by hand"].append(await measured(by_hand, client))
            times["ours"].append(await measured(ours, client))
    for name, each in times.items():
        print(f"{name:8} {statistics.median(each):7.1f} us of CPU a step")
    ratios = [a / b for a, b in zip(times["ours"], times["by hand"], strict=True)]
    print(f"ratio    {statistics.median(ratios):7.3f}")


def main() -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    server = context.Process(target=serve, args=(ready,), daemon=True)
    server.start()
    asyncio.run(compare(ready.get()))
    server.terminate()


if __name__ == "__main__":
    main()
