"""The Ray engine on a local Ray with two CPUs: all tests here share it, and the server is ours.

How the limit is shared is tested in test_shared_limit.py, without Ray.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

import openai_async
from openai_async import AsyncClient, AuthenticationError, InvalidArgumentError, OpenAIError
from openai_async.batch.engines.ray import reading
from openai_async.batch.engines.ray.cluster import MARK, connect
from openai_async.batch.engines.ray.engine import RayEngine
from openai_async.batch.input.lines import Line, parse_json, read_lines
from openai_async.batch.job import run_batch
from openai_async.batch.parsing import Parsing
from openai_async.batch.requests import BatchRequest
from openai_async.http.request import Request, Response
from openai_async.middleware import Middleware, Send
from openai_async.structured import make_converter, response_format
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.testing.limits import ServerLimits

ray = pytest.importorskip("ray")
pyarrow = pytest.importorskip("pyarrow")

pytestmark = [
    pytest.mark.ray,
    # Ray uses what it has deprecated itself.
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=100_000_000,
        resources={MARK: 1},  # so that no other run on this machine takes it for a cluster
    )
    yield
    ray.shutdown()


async def stamp(request: Request, send: Send) -> Response:
    """A middleware that tells the server which process sends."""
    request.headers["x-process"] = str(os.getpid())
    return await send(request)


class Together:
    """A middleware that holds requests back until two processes want to send."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def __call__(self, request: Request, send: Send) -> Response:
        (self.directory / str(os.getpid())).touch()
        while len([*self.directory.iterdir()]) < 2:  # noqa: ASYNC110 - other processes' doing
            await asyncio.sleep(0.02)
        return await send(request)


async def die(request: Request, send: Send) -> Response:
    os._exit(1)


@pytest.fixture
async def stamped(cluster: None, server: LocalServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=server.url, api_key="local", middlewares=[stamp]) as client:
        yield client


def line(name: object) -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": str(name)}]}
    return {"custom_id": str(name), "url": "/v1/chat/completions", "body": body}


def requests(number: int) -> Iterator[BatchRequest]:
    return (BatchRequest.of(line(i)) for i in range(number))


def names(number: int) -> list[str]:
    return sorted(map(str, range(number)))


def processes(server: LocalServer) -> set[int]:
    return {int(request.headers["x-process"]) for request in server.requests}


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_without_a_cluster_an_engine_starts_its_own_ray(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First in the file: Ray must not be running in this process yet."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"{}\n" * 5)
    engine = RayEngine(client, concurrency=1)
    lines = engine.read(path)
    assert next(iter(lines)) == Line(number=1, data=b"{}")
    assert ray.is_initialized()
    asyncio.run(engine.close())
    assert not ray.is_initialized()
    with pytest.raises(OpenAIError, match="closed"):
        next(iter(lines))


async def test_two_workers_answer_each_request_once(
    server: LocalServer, stamped: AsyncClient, tmp_path: Path
) -> None:
    client = stamped.with_options(middlewares=[stamp, Together(tmp_path)])
    engine = RayEngine(client, concurrency=16)
    results = [result async for result in engine.results(requests(200))]
    assert sorted(result.custom_id for result in results) == names(200)
    assert not any(result.failed for result in results)
    assert len(processes(server)) == 2
    assert len(server.requests) == 200


async def test_a_killed_worker_loses_and_duplicates_nothing(
    server: LocalServer, stamped: AsyncClient, tmp_path: Path
) -> None:
    server.script(Failure(delay=0.05), times=400)
    client = stamped.with_options(middlewares=[stamp, Together(tmp_path)])
    engine = RayEngine(client, concurrency=16)
    ids: list[str] = []
    killed = None
    async with aclosing(engine.results(requests(300))) as results:
        async for result in results:
            assert not result.failed
            ids.append(result.custom_id)
            if killed is None and len(ids) >= 40:
                killed = min(processes(server))
                os.kill(killed, signal.SIGKILL)
                sent = len(server.requests)
    assert sorted(ids) == names(300)
    assert sent < 300  # so it had some in flight


async def test_workers_that_die_again_and_again_end_the_run(
    cluster: None, server: LocalServer
) -> None:
    client = AsyncClient(base_url=server.url, api_key="local", middlewares=[die])
    engine = RayEngine(client, concurrency=2, workers=1)
    with pytest.raises(OpenAIError, match="Ray workers keep dying"):
        async for _ in engine.results(requests(4)):
            pass


def test_the_nodes_of_a_cluster_get_this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {}
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **given: options.update(given))
    monkeypatch.setattr(ray, "cluster_resources", dict)

    assert connect()

    assert options["address"] == "auto"
    package = Path(openai_async.__file__).parent
    assert options["runtime_env"] == {"py_modules": [str(package)]}


async def test_the_workers_keep_to_one_limit_together(cluster: None, tmp_path: Path) -> None:
    limits = ServerLimits(requests_per_minute=1200)
    async with LocalServer(limits=limits) as server:
        middlewares: list[Middleware] = [stamp, Together(tmp_path)]
        client = AsyncClient(base_url=server.url, api_key="local", middlewares=middlewares)
        engine = RayEngine(client, concurrency=32)
        paces = []
        async for _ in engine.results(requests(150)):
            paces.append(engine.pace)
        assert len(paces) == 150
        assert len(processes(server)) == 2
        assert server.rejections <= 3
        assert paces[-1]["gpt-4o-mini"].server is not None


async def test_closing_early_cancels_what_is_in_flight_and_frees_the_workers(
    server: LocalServer, stamped: AsyncClient
) -> None:
    server.script(Failure(delay=60), times=100)
    engine = RayEngine(stamped, concurrency=4)
    results = engine.results(requests(100))
    waiting = asyncio.ensure_future(anext(results))
    await server.received(2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await results.aclose()
    async with asyncio.timeout(20):  # Ray ends processes in its own time
        while any(map(alive, processes(server))):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.05)


async def test_once_halted_no_more_is_sent(server: LocalServer, stamped: AsyncClient) -> None:
    ids: list[str] = []
    engine = RayEngine(stamped, concurrency=4)
    async for result in engine.results(requests(2000), lambda: len(ids) >= 10):
        ids.append(result.custom_id)
    assert 10 <= len(ids) < 200
    assert len(server.requests) == len(set(ids)) == len(ids)


async def test_a_result_has_the_exception_of_its_call(
    cluster: None,
) -> None:
    async with LocalServer(api_key="right") as server:
        client = AsyncClient(base_url=server.url, api_key="wrong")
        engine = RayEngine(client, concurrency=2, workers=1)
        (result,) = [result async for result in engine.results(requests(1))]
    assert isinstance(result.exception, AuthenticationError)
    assert result.response is not None
    assert result.response.status_code == 401


async def test_an_exception_of_the_source_comes_after_the_results(
    cluster: None, server: LocalServer, client: AsyncClient
) -> None:
    def source() -> Iterator[BatchRequest]:
        yield from requests(3)
        raise LookupError("the source")

    engine = RayEngine(client, concurrency=2, workers=1)
    ids = []
    with pytest.raises(LookupError, match="the source"):
        async for result in engine.results(source()):
            ids.append(result.custom_id)
    assert sorted(ids) == names(3)


async def test_a_client_that_cannot_be_pickled_is_refused(
    cluster: None, server: LocalServer
) -> None:
    client = AsyncClient(base_url=server.url, api_key="k", ssl=ssl.create_default_context())
    with pytest.raises(InvalidArgumentError, match="SSLContext cannot be pickled"):
        await anext(RayEngine(client, concurrency=1).results(requests(1)))


@attrs.define
class Animal:
    name: str
    legs: int


async def test_answers_are_parsed_in_the_workers(
    cluster: None, server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply('{"name": "cat", "legs": 4}'), Reply('{"name": "cat"}'))
    engine = RayEngine(client, concurrency=1, workers=1, parsing=Parsing.of(Animal, 0))
    fits, misfit = [result async for result in engine.results(requests(2))]
    assert fits.error is None
    assert fits.parsed is None  # the value stays in the worker
    assert misfit.error is not None
    assert misfit.error.code == "misfit"
    assert misfit.error.message == "The answer does not match Animal: legs: it is missing."
    sent = server.requests[0].json["response_format"]
    assert sent == response_format(Animal).param


async def test_a_type_that_cannot_be_pickled_is_refused(
    cluster: None, server: LocalServer, client: AsyncClient
) -> None:
    converter = make_converter()
    lock = threading.Lock()
    converter.register_structure_hook(int, lambda value, _: int(value) if lock else 0)
    parsing = Parsing.of(response_format(Animal, converter=converter), 0)
    with pytest.raises(InvalidArgumentError, match="type of the answers cannot be sent"):
        await anext(RayEngine(client, concurrency=1, parsing=parsing).results(requests(1)))


async def test_a_run_is_resumed(server: LocalServer, stamped: AsyncClient, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"".join(msgspec.json.encode(line(i)) + b"\n" for i in range(40)))
    stop = asyncio.Event()
    stop.set()
    await run_batch(stamped, source, output, engine="ray", concurrency=4, workers=1, stop=stop)
    report = await run_batch(stamped, source, output, engine="ray", concurrency=4, workers=1)
    assert (report.total, report.failed) == (40, 0)
    ids = [msgspec.json.decode(text)["custom_id"] for text in output.read_bytes().splitlines()]
    assert sorted(ids) == names(40)
    assert len(server.requests) == 40


def test_ray_data_reads_jsonl_line_by_line_whatever_is_in_it(
    cluster: None, client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "RANGE_SIZE", 50)  # so that there are many
    path = tmp_path / "in.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"line separator": "\xe2\x80\xa8, \xc2\x85"}\n'
        + b'{"not utf-8": "\xff"}\n'
        + b'{"null": null, "long": "%s"}\n' % (b"x" * 200)
        + b'{"last": true}'
    )
    engine = RayEngine(client, concurrency=1)
    assert [*engine.read(path)] == [*read_lines(path)]


def test_ranges_of_any_length_have_each_line_once(tmp_path: Path) -> None:
    data = b"one\ntwo and more\r\n\n\nfive"
    path = tmp_path / "in.jsonl"
    path.write_bytes(data)
    for length in range(1, len(data) + 2):
        lines: list[bytes] = []
        for start in range(0, len(data), length):
            lines += reading.lines_of_range(path, start, start + length).column(0).to_pylist()
        assert lines == data.splitlines(keepends=True)


def test_ray_data_reads_parquet_by_a_mapping_of_columns(
    cluster: None, client: AsyncClient, tmp_path: Path
) -> None:

    path = tmp_path / "in.parquet"
    texts = [f"prompt {i}" for i in range(450)]
    pytest.importorskip("pyarrow.parquet").write_table(
        pyarrow.table({"id": range(450), "text": texts, "other": texts}), path
    )
    columns = {"custom_id": "id", "prompt": "text", "model": "gpt-4o-mini"}
    engine = RayEngine(client, concurrency=1, columns=columns)
    lines = [*engine.read(path)]
    assert [line.number for line in lines] == [*range(1, 451)]
    assert BatchRequest.of(parse_json(lines[7])) == BatchRequest(
        custom_id="7",
        url="/v1/chat/completions",
        body={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "prompt 7"}]},
    )


@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet"])
def test_a_missing_file_is_named(
    cluster: None, client: AsyncClient, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        next(iter(RayEngine(client, concurrency=1).read(tmp_path / name)))
