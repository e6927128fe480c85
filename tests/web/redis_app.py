"""An app whose answers can be joined in any process: `redis_app.py REDIS_SOCKET LISTENING_FD`."""

from __future__ import annotations

import socket
import sys

from aiohttp import web
from redis.asyncio import Redis
from redis_store import RedisStore  # type: ignore[import-not-found]

from openai_async import AsyncClient
from openai_async.web import Broadcast, sse_response

client = AsyncClient()
running: set[Broadcast] = set()


async def begin(request: web.Request) -> web.Response:
    stream = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    broadcast = await Broadcast(stream, store=store).start()
    running.add(broadcast)
    broadcast.add_done_callback(running.discard)
    return web.Response(text=broadcast.id)


async def join(request: web.Request) -> web.StreamResponse:
    idle = float(request.query.get("idle", 360))
    broadcast = Broadcast.join(request.match_info["id"], store=store, idle=idle)
    return await sse_response(request, broadcast, form="text")


if __name__ == "__main__":
    store = RedisStore(Redis(unix_socket_path=sys.argv[1]))
    app = web.Application()
    app.router.add_post("/", begin)
    app.router.add_get("/{id}", join)
    web.run_app(app, sock=socket.socket(fileno=int(sys.argv[2])))
