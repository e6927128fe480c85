"""`openai-async serve`."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openai_async import (
    APITimeoutError,
    AsyncClient,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    StreamInterruptedError,
    Timeout,
)

from .cli_process import outcome, start_cli
from .cli_thread import run_beside

HI: Any = [{"role": "user", "content": "Hi"}]


async def served_url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
    assert line.startswith("Serving at http://127.0.0.1:")
    return line.removeprefix("Serving at ").strip()


async def test_it_serves_until_ctrl_c_which_is_not_a_failure() -> None:
    process = await start_cli("serve", "--port", "0")
    async with AsyncClient(base_url=await served_url(process), api_key="local") as client:
        assert "gpt-4o" in await client.models.list()
    process.send_signal(signal.SIGINT)
    code, _, stderr = await outcome(process)
    assert (code, stderr) == (0, "")


async def test_ctrl_c_does_not_wait_for_streams() -> None:
    process = await start_cli("serve", "--port", "0", "--tokens-per-second", "0.1")
    async with (
        AsyncClient(base_url=await served_url(process), api_key="local") as client,
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        ),
    ):
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    await outcome(process)


async def test_beyond_rpm_and_tpm_it_answers_429() -> None:
    process = await start_cli("serve", "--port", "0", "--rpm", "1", "--tpm", "60000")
    question: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    async with AsyncClient(
        base_url=await served_url(process), api_key="local", max_retries=0
    ) as client:
        first = await client.chat.completions.create(**question)
        limits = first.meta.rate_limits
        assert limits is not None
        assert (limits.limit_requests, limits.limit_tokens) == (1, 60_000)
        with pytest.raises(RateLimitError, match="requests per min"):
            await client.chat.completions.create(**question)
    process.send_signal(signal.SIGINT)
    await outcome(process)


@pytest.mark.parametrize("limit", ["0", "many"])
async def test_an_invalid_limit_is_wrong_usage(limit: str) -> None:
    code, _, stderr = await run_beside("serve", "--rpm", limit)
    assert code == 2
    assert "--rpm" in stderr


async def test_the_second_line_can_be_pasted_into_a_shell() -> None:
    process = await start_cli("serve", "--port", "0")
    url = await served_url(process)
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line == f"export OPENAI_BASE_URL={url} OPENAI_API_KEY=local\n"
    process.send_signal(signal.SIGINT)
    await outcome(process)


async def test_a_port_in_use_is_one_line() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code, stdout, stderr = await run_beside("serve", "--port", str(port))
    server.close()
    await server.wait_closed()
    assert (code, stdout) == (1, "")
    assert stderr.startswith(f"error: Cannot listen on port {port}: ")
    assert "--port" in stderr
    assert stderr.count("\n") == 1


async def test_it_answers_for_models_of_today_and_for_those_that_are_named() -> None:
    options = ("--models", "my-model, ft:gpt-5.4:me::1", "--model", "one", "--model", "two")
    process = await start_cli("serve", "--port", "0", *options)
    async with AsyncClient(base_url=await served_url(process), api_key="local") as client:
        models = await client.models.list()
        for model in ("gpt-5.4-mini", "gpt-4o", "my-model", "ft:gpt-5.4:me::1", "one", "two"):
            assert model in models
            answer = await client.chat.completions.create(model=model, messages=HI)
            assert answer.model == model
    process.send_signal(signal.SIGINT)
    await outcome(process)


@pytest.mark.parametrize("strict", [False, True])
async def test_other_models_are_answered_unless_it_is_strict(strict: bool) -> None:
    process = await start_cli("serve", "--port", "0", *["--strict-models"] * strict)
    async with AsyncClient(base_url=await served_url(process), api_key="local") as client:
        if strict:
            with pytest.raises(NotFoundError, match="'llama-7' does not exist"):
                await client.chat.completions.create(model="llama-7", messages=HI)
        else:
            await client.chat.completions.create(model="llama-7", messages=HI)
    process.send_signal(signal.SIGINT)
    await outcome(process)


async def test_an_empty_model_is_a_usage_error() -> None:
    code, _, stderr = await outcome(await start_cli("serve", "--model="))
    assert (code, stderr) == (2, "error: --model is empty: pass the id of a model.\n")


@pytest.mark.parametrize("models", ["", ",", "a,,b"])
async def test_a_list_of_models_with_a_hole_is_wrong_usage(models: str) -> None:
    code, _, stderr = await outcome(await start_cli("serve", f"--models={models}"))
    assert code == 2
    assert stderr == f"error: --models is {models!r}: write it like my-model,another-one.\n"


# --- failures ---


@asynccontextmanager
async def failing(*options: str, **client_options: Any) -> AsyncIterator[AsyncClient]:
    """A client of a server with these options; it does not retry."""
    process = await start_cli("serve", "--port", "0", *options)
    try:
        async with AsyncClient(
            base_url=await served_url(process), api_key="local", max_retries=0, **client_options
        ) as client:
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        await outcome(process)


async def ask(client: AsyncClient) -> str:
    return (await client.chat.completions.create(model="gpt-4o", messages=HI)).text


async def test_fail_applies_to_the_next_requests_in_order() -> None:
    async with failing("--fail", "503,times=2", "--fail", "429, retry-after=1234567") as client:
        for _ in range(2):
            with pytest.raises(InternalServerError, match="503"):
                await ask(client)
        with pytest.raises(RateLimitError) as refused:
            await ask(client)
        assert refused.value.headers is not None
        assert refused.value.headers["retry-after"] == "1234567"
        assert await ask(client)


@pytest.mark.parametrize(
    ("how", "error"), [("cut=2", StreamInterruptedError), ("stall=2", APITimeoutError)]
)
async def test_fail_can_end_a_stream_or_let_it_hang(how: str, error: type[Exception]) -> None:
    async with failing("--fail", how, timeout=Timeout(idle=0.5)) as client:
        stream = client.chat.completions.create(model="gpt-4o", messages=HI, stream=True)
        seen = 0
        with pytest.raises(error):
            async for _ in stream.text():
                seen += 1
        assert seen == 2


async def test_fail_can_be_late() -> None:
    async with failing("--fail", "delay=3600", timeout=Timeout(total=0.5)) as client:
        with pytest.raises(APITimeoutError):
            await ask(client)
        assert await client.with_options(timeout=20).models.list()


async def failed(count: int) -> list[int]:
    """Which of the requests fail if half of them do."""
    found = []
    async with failing("--fail", "500,share=50%") as client:
        for number in range(count):
            try:
                await ask(client)
            except InternalServerError:
                found.append(number)
    return found


async def test_fail_for_a_share_is_at_random_and_the_same_each_time() -> None:
    first, second = await failed(20), await failed(20)
    assert 4 < len(first) < 16
    assert first == second


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "status must be an HTTP status, like 503, not ''"),
        ("often", "status must be an HTTP status, like 503, not 'often'"),
        ("700", "status must be an HTTP status from 200 to 599, not 700"),
        ("503,times=0", "times must be a number of requests, like 2, not '0'"),
        ("503,times=10000000", "times must be a number of requests, like 2, not '10000000'"),
        ("503,times=x", "times must be a number of requests, like 2, not 'x'"),
        ("503,share=0%", "share must be a percentage, like 10%, not '0%'"),
        ("503,share=nan", "share must be a percentage, like 10%, not 'nan'"),
        ("503,share=5%,times=2", "pass times or share, not both"),
        ("503,504", "it has two values for status"),
        ("503,after=2", "'after=2' is neither a status nor one of retry-after=, delay=, "),
        ("retry-after=2", "retry-after needs a status, like 429,retry-after=2"),
        ("429,retry-after=nan", "retry-after must be seconds, like 2, not 'nan'"),
        ("times=2", "it needs a status, delay, cut or stall"),
        ("delay=-1", "delay must be seconds, like 0.5, not '-1'"),
        ("cut=1,stall=1", "pass one of a status, cut and stall"),
        ("503,cut=1", "pass one of a status, cut and stall"),
        ("cut=-1", "cut must be a number of tokens, like 3, not '-1'"),
        ("503,share=0.1", "share must be a percentage, like 10%, not '0.1'"),
        ("503,times", "times needs a value, like times=2"),
    ],
)
async def test_a_wrong_failure_is_a_usage_error(value: str, says: str) -> None:
    code, stdout, stderr = await run_beside("serve", f"--fail={value}")
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"error: --fail is {value!r}: {says}")
    assert stderr.count("\n") == 1
