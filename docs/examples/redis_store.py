"""A store in Redis, for answers that browsers may join in any of several processes.

    broadcast = Broadcast(stream, store=RedisStore(redis), id=answer_id)    # in one process
    joined = Broadcast.join(answer_id, store=RedisStore(redis))             # in another

Each answer is a Redis stream, which has what a store needs: to append, and to read on from anywhere
and wait for more. It expires a minute after its end, or ten minutes after its process
dies.
"""

from collections.abc import AsyncIterator

from redis.asyncio import Redis

KEEP, KEEP_UNFINISHED = 60, 600  # seconds
WAIT = 5000  # milliseconds


class RedisStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def append(self, id: str, record: bytes) -> None:
        await self._add(id, {"record": record}, KEEP_UNFINISHED)

    async def end(self, id: str, record: bytes) -> None:
        await self._add(id, {"record": record, "end": b""}, KEEP)

    async def _add(self, id: str, fields: dict[str, bytes], keep: int) -> None:
        async with self._redis.pipeline() as pipeline:
            pipeline.xadd(f"broadcast:{id}", fields)
            pipeline.expire(f"broadcast:{id}", keep)
            await pipeline.execute()

    async def read(self, id: str, after: int) -> AsyncIterator[bytes]:
        key, last = f"broadcast:{id}", "0"
        if not await self._redis.exists(key):
            return
        while True:
            for _, entries in await self._redis.xread({key: last}, block=WAIT):
                for entry, fields in entries:
                    last = entry
                    if after > 0:
                        after -= 1
                    elif b"record" in fields:
                        yield fields[b"record"]
                    if b"end" in fields:
                        return
