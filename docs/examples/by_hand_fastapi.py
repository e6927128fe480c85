"""SSEResponse(stream, form="text"), written by hand; docs/web.md says what this misses.

uvicorn by_hand_fastapi:app --timeout-graceful-shutdown 5
"""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from openai_async import APIStatusError, AsyncClient, ChatCompletionStream, OpenAIError

log = logging.getLogger("app")
client = AsyncClient()
app = FastAPI(lifespan=client.lifespan)


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    return "<script>new EventSource('/answer?q=Why').onmessage = console.log</script>"


HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def event(kind: str, name: str = "", /, **fields: Any) -> str:
    return f"{name}data: {json.dumps({'type': kind, **fields}, separators=(',', ':'))}\n\n"


async def events(stream: ChatCompletionStream) -> AsyncIterator[str]:
    reason = None
    try:
        async with stream:
            async for chunk in stream:
                if chunk.reasoning:
                    yield event("reasoning", text=chunk.reasoning)
                if chunk.text:
                    yield event("text", text=chunk.text)
                for choice in chunk.choices:
                    reason = choice.finish_reason or reason
                    for call in choice.delta.tool_calls or []:
                        function = call.to_dict().get("function", {})
                        yield event("tool_call", index=call.index, id=call.id, **function)
        if stream.usage is not None:
            yield event("usage", **stream.usage.to_dict())
        yield event("done", finish_reason=reason)
    except OpenAIError as error:
        log.warning("The answer broke off: %s", error)
        yield event("error", "event: error\n", message=error.safe_message)


@app.get("/answer")
async def answer(q: str) -> Response:
    try:
        stream = await client.chat.completions.create(
            model="gpt-5.4-mini", messages=[{"role": "user", "content": q}], stream=True
        )
    except OpenAIError as error:
        log.warning("No answer: %s", error)
        status = error.status_code if isinstance(error, APIStatusError) else 502
        return JSONResponse({"error": {"message": error.safe_message}}, status)
    return StreamingResponse(events(stream), media_type="text/event-stream", headers=HEADERS)
