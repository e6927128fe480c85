"""A bot for a messenger with Telegram's API: an answer is a message that grows as it is written.

BOT_URL is https://api.telegram.org/bot<token>.

python bot.py
"""

import asyncio
import logging
import os
import signal
from contextlib import suppress
from typing import Any

import aiohttp

from openai_async import AsyncClient, OpenAIError

URL = os.environ["BOT_URL"]
PAUSE = 1.0  # seconds between two edits of a message
LIMIT = 4000  # a message has at most 4096 characters; this leaves room for an error

log = logging.getLogger("bot")
client = AsyncClient()  # reads OPENAI_API_KEY and OPENAI_BASE_URL


async def call(http: aiohttp.ClientSession, method: str, **parameters: Any) -> Any:
    """Call a method of the bot API; if there were too many calls, wait and try again."""
    while True:
        async with http.post(f"{URL}/{method}", json=parameters) as response:
            reply = await response.json()
        if reply["ok"]:
            return reply["result"]
        if reply["error_code"] != 429:
            raise RuntimeError(f"{method}: {reply['description']}")
        await asyncio.sleep(reply["parameters"]["retry_after"])


async def answer(http: aiohttp.ClientSession, chat: int, question: str) -> None:
    """Answer in as many messages as it takes; each is edited at most once a second."""
    loop, text, shown = asyncio.get_running_loop(), "", ""
    sent = await call(http, "sendMessage", chat_id=chat, text="…")
    due = loop.time() + PAUSE

    async def edit(text: str) -> None:
        nonlocal due, shown
        if text.strip() and text != shown:  # the API rejects an empty or unchanged text
            await asyncio.sleep(due - loop.time())
            message = {"chat_id": chat, "message_id": sent["message_id"]}
            await call(http, "editMessageText", **message, text=text)
            due, shown = loop.time() + PAUSE, text

    try:
        async with client.chat.completions.create(
            model="gpt-5.4-mini", messages=[{"role": "user", "content": question}], stream=True
        ) as stream:
            async for piece in stream.text():
                text += piece
                while len(text) > LIMIT:
                    await edit(text[:LIMIT])
                    sent = await call(http, "sendMessage", chat_id=chat, text="…")
                    text = text[LIMIT:]
                if loop.time() >= due:
                    await edit(text)
    except OpenAIError as error:
        log.warning("No answer, or not all of it: %s", error)
        text = f"{text}\n{error.safe_message}".strip()
    await edit(text)


async def respond(http: aiohttp.ClientSession, update: dict[str, Any]) -> None:
    try:
        await answer(http, update["message"]["chat"]["id"], update["message"]["text"])
    except Exception:  # from the bot API, for example; the other answers go on
        log.exception("The answer to update %s failed.", update["update_id"])


async def main() -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    offset = 0
    async with client, aiohttp.ClientSession() as http, asyncio.TaskGroup() as answers:
        while True:
            try:
                updates = await call(http, "getUpdates", offset=offset, timeout=30)
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("No updates: %s", error)
                await asyncio.sleep(PAUSE)
                continue
            for update in updates:
                offset = update["update_id"] + 1
                if "text" in update.get("message", {}):
                    answers.create_task(respond(http, update))


if __name__ == "__main__":
    with suppress(asyncio.CancelledError):
        asyncio.run(main())
