"""sse_response(request, stream, form="text"), written by hand; docs/web.md says what this misses.

python by_hand_aiohttp.py
"""

import json
import logging
from typing import Any

from aiohttp import web

from openai_async import APIStatusError, AsyncClient, OpenAIError

log = logging.getLogger("app")
client = AsyncClient()


async def page(request: web.Request) -> web.Response:
    script = "<script>new EventSource('/answer?q=Why').onmessage = console.log</script>"
    return web.Response(text=script, content_type="text/html")


HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


async def answer(request: web.Request) -> web.StreamResponse:
    async def send(kind: str, name: str = "", /, **fields: Any) -> None:
        data = json.dumps({"type": kind, **fields}, separators=(",", ":"))
        await response.write(f"{name}data: {data}\n\n".encode())

    try:
        stream = await client.chat.completions.create(
            model="gpt-5.4-mini",
            messages=[{"role": "user", "content": request.query.get("q", "")}],
            stream=True,
        )
    except OpenAIError as error:
        log.warning("No answer: %s", error)
        status = error.status_code if isinstance(error, APIStatusError) else 502
        return web.json_response({"error": {"message": error.safe_message}}, status=status)
    response, reason = web.StreamResponse(headers=HEADERS), None
    async with stream:
        await response.prepare(request)
        try:
            async for chunk in stream:
                if chunk.reasoning:
                    await send("reasoning", text=chunk.reasoning)
                if chunk.text:
                    await send("text", text=chunk.text)
                for choice in chunk.choices:
                    reason = choice.finish_reason or reason
                    for call in choice.delta.tool_calls or []:
                        function = call.to_dict().get("function", {})
                        await send("tool_call", index=call.index, id=call.id, **function)
            if stream.usage is not None:
                await send("usage", **stream.usage.to_dict())
            await send("done", finish_reason=reason)
        except OpenAIError as error:
            log.warning("The answer broke off: %s", error)
            await send("error", "event: error\n", message=error.safe_message)
        except ConnectionError:
            pass  # the browser has disconnected
    return response


app = web.Application()
app.router.add_get("/", page)
app.router.add_get("/answer", answer)
app.cleanup_ctx.append(client.cleanup_ctx)

if __name__ == "__main__":
    web.run_app(app, handler_cancellation=True, shutdown_timeout=5)
