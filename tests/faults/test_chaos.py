"""5,000 calls through a proxy that delays, splits, cuts, resets, stalls, refuses and corrupts.

Each call ends, in time, in a right answer or in an `APIError`. What is right:

- `LocalServer` says the same to the same request, so each call is compared with what an
  undisturbed client was told before: text, finish reason, usage, picture. Of a stream that breaks
  off, the text so far (of the loop, and of `StreamInterruptedError.partial`) is a beginning of it.
  Calls at the same time ask different questions: a mixed-up answer is a wrong one. Usage alone may
  be missing: a stream is done with its last `finish_reason`, and a cut can fall between the two.
- No client can see that a bit flipped inside a string, or that `data:` became `dat!:`, a field
  that event streams tell us to ignore: HTTP/1.1 leaves that to TCP and TLS. So the proxy notes
  which calls got an answer with flipped bits (the client names each in an `X-Call` header), and
  these may end in another answer, if it is one of the right type. All others may not, in
  particular not those that use the connection of a corrupted answer after it.

`CHAOS_SEED` gives another seed, `CHAOS_CALLS` another number of calls.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import attrs
import pytest

from openai_async import (
    APIError,
    AsyncClient,
    RetryPolicy,
    StreamInterruptedError,
    Timeout,
)
from openai_async.testing import LocalServer
from openai_async.types.chat import ChatCompletion

from .chaos_proxy import CHANCES, ChaosProxy

pytestmark = pytest.mark.virtual_time

SEED = int(os.environ.get("CHAOS_SEED", "1"))
CALLS = int(os.environ.get("CHAOS_CALLS", "5000"))
AT_ONCE = 64
QUESTIONS = 97
"""A prime, so that every way of asking meets every question."""
# Three attempts of 1.5 s, and then a stream with a stall: nothing may take half as long as this.
PATIENCE = 30.0
# An early break leaves the connection some seconds to become free by itself.
SETTLING = 5.0
# Loggers that must stay silent. LocalServer may log: it receives malformed requests.
LOUD = ("asyncio", "aiohttp.client", "aiohttp.internal", "openai_async")

# A stream whose text is complete, but whose usage never came.
WITHOUT_USAGE = "right without its usage"
ALTERED = "altered on the way"

Way = Literal["models", "plain", "completion", "text", "loop", "break", "image"]
# Pictures are few: drawing one costs the server more than anything else here.
WAYS: tuple[Way, ...] = (
    *("models", "plain", "completion", "text", "loop", "break"),
    *("models", "plain", "completion", "text", "loop", "plain", "image"),
)


@attrs.frozen
class Answer:
    """What of an answer is the same each time."""

    text: str
    finish: object = None
    tokens: object = None


class Caller:
    """Makes the calls; `expected` is what each should return, as recorded by `learn()`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._expected: dict[tuple[str, int], Answer] = {}
        self.seen = ""
        """The text of the stream under way, as far as it has been read."""

    def with_client(self, client: AsyncClient) -> Caller:
        """For another task: the same expectations, another client, a `seen` of its own."""
        caller = Caller(client)
        caller._expected = self._expected
        return caller

    async def learn(self) -> None:
        """Ask everything once, undisturbed."""
        for question in range(QUESTIONS):
            for way in ("models", "plain", "completion", "image"):
                self._expected[way, question] = await self._ask(way, question, {})

    def expected(self, way: Way, question: int) -> Answer:
        """The right answer, as far as this way of asking gets it."""
        if way in ("text", "loop", "break"):
            return Answer(self._expected["plain", question].text)
        return self._expected[way, question]

    async def _ask(self, way: str, question: int, headers: dict[str, str]) -> Answer:
        client = self._client
        self.seen = ""
        if way == "models":
            models = await client.models.list(extra_headers=headers)
            return Answer(repr(models.to_dict()))
        if way == "image":
            images = await client.images.generate(
                model="dall-e-2",
                prompt=f"Otter number {question}",
                size="256x256",
                response_format="b64_json",
                extra_headers=headers,
            )
            return Answer(str(images.data[0].b64_json))
        return await self._chat(way, question, headers)

    async def _chat(self, way: str, question: int, headers: dict[str, str]) -> Answer:
        create = self._client.chat.completions.create
        prompt = f"What is number {question} of {'many ' * (question % 7)}things?"
        if way == "plain":
            return _of(
                await create(
                    model="gpt-4o",
                    messages=[{"role": "user", "content": prompt}],
                    extra_headers=headers,
                )
            )
        stream = create(
            model="gpt-4o",
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=headers,
        )
        if way == "completion":
            return _of(await stream.completion())
        if way == "text":
            async for text in stream.text():
                self.seen += text
            return Answer(self.seen)
        async for chunk in stream:
            self.seen += "".join(choice.delta.content or "" for choice in chunk.choices)
            if way == "break" and len(self.seen) > 50:
                break
        return Answer(self.seen)

    async def call(self, number: int) -> tuple[str, bool]:
        """Make call `number`; returns how it ended, and whether that is right."""
        way, question = WAYS[number % len(WAYS)], number % QUESTIONS
        expected = self.expected(way, question)
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._ask(way, question, {"X-Call": str(number)})
        except APIError as error:
            partial = error.partial if isinstance(error, StreamInterruptedError) else None
            texts = [self.seen, partial.text if partial is not None else None]
            right = all(expected.text.startswith(text or "") for text in texts)
            return type(error).__name__, right
        if answer == attrs.evolve(expected, tokens=None) != expected:
            return WITHOUT_USAGE, way == "completion"
        if way == "break":
            return "right", expected.text.startswith(answer.text) and len(answer.text) > 50
        return "right", answer == expected


def _of(completion: ChatCompletion) -> Answer:
    choice = completion.choices[0] if completion.choices else None
    return Answer(
        text=completion.text or "",
        finish=choice.finish_reason if choice is not None else None,
        tokens=completion.usage.total_tokens if completion.usage is not None else None,
    )


async def make_calls(
    caller: Caller, proxy: ChaosProxy, client: AsyncClient
) -> tuple[Counter[str], float]:
    """All calls, 64 at a time; returns how many ended how, and the seconds of the longest."""
    outcomes: Counter[str] = Counter()
    longest = 0.0
    clock = asyncio.get_running_loop().time
    wrong: list[str] = []
    numbers = iter(range(CALLS))

    async def work(own: Caller, numbers: Iterator[int]) -> None:
        nonlocal longest
        for number in numbers:  # shared: each takes the next
            start = clock()
            outcome, right = await own.call(number)
            longest = max(longest, clock() - start)
            if number in proxy.changed:
                if outcome == WITHOUT_USAGE or (outcome == "right" and not right):
                    outcome = ALTERED
            elif not right:
                wrong.append(f"call {number} ({WAYS[number % len(WAYS)]}): {outcome}")
            outcomes[outcome] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work(caller.with_client(client), numbers))
    assert wrong == []
    return outcomes, longest


async def settled(client: AsyncClient) -> None:
    """All slots are free, and no stream is open, within some seconds."""
    pools = list(client._transport._pools._pools.values())
    assert len(pools) == 1
    [pool] = pools
    assert pool.slots.free == AT_ONCE  # at once: a slot does not wait for a connection
    deadline = asyncio.get_running_loop().time() + SETTLING
    while pool.streams:
        assert asyncio.get_running_loop().time() < deadline, pool.streams
        await asyncio.sleep(0.05)


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """No task and no descriptor more than before."""
    before = descriptors()
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}
    for _ in range(50):  # asyncio closes a socket one turn of the loop after its transport
        if descriptors() <= before:
            break
        await asyncio.sleep(0.02)
    assert descriptors() <= before


@pytest.mark.parametrize("seed", [SEED])
async def test_every_call_ends_in_a_right_answer_or_an_api_error(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    retry = RetryPolicy(initial_delay=0.01, max_delay=0.05, budget=1_000_000)
    timeout = Timeout(total=1.5, connect=1.0, idle=0.7)
    async with nothing_left(), LocalServer() as server:
        async with AsyncClient(base_url=server.url, api_key="local") as undisturbed:
            caller = Caller(undisturbed)
            await caller.learn()
        async with (
            ChaosProxy(server.port, seed) as proxy,
            AsyncClient(
                base_url=f"http://127.0.0.1:{proxy.port}/v1",
                api_key="local",
                timeout=timeout,
                max_retries=2,
                retry=retry,
                max_connections=AT_ONCE,
            ) as client,
        ):
            outcomes, longest = await make_calls(caller, proxy, client)
            await settled(client)
    print(
        f"chaos: seed {seed}, {outcomes.total()} calls in {loop.time() - start:.1f} s, "
        f"the longest {longest:.1f} s: "
        + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        + "; faults: "
        + ", ".join(f"{count} {fault}" for fault, count in proxy.faults.most_common())
    )
    assert outcomes.total() == CALLS
    # Otherwise there was no chaos, or nothing got through it.
    assert set(proxy.faults) == {*CHANCES, "corrupt", "refuse"}
    assert outcomes["right"] > 0.6 * CALLS
    loud = [r for r in caplog.records if r.levelno >= logging.WARNING and r.name in LOUD]
    # A usage that stalled behind a complete answer is missing: the log says so.
    told = [r for r in loud if "without the usage" in r.getMessage()]
    assert [r for r in loud if r not in told] == []
    assert outcomes[WITHOUT_USAGE] <= len(told)
