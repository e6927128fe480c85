"""The pytest plugin, in runs of pytest of their own, where warnings are errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import TypeAlias

import pytest

from ..plugin_metadata import python_path

Run: TypeAlias = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs pytest on a file, and returns what it prints."""
    (tmp_path / "pytest.ini").touch()
    unwanted = ("PYTEST_", "OPENAI_", "COV_")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(unwanted)
    }
    environment["PYTHONPATH"] = python_path(tmp_path / "site")

    def run(code: str, *options: str, passed: int = 0) -> str:
        (tmp_path / "test_app.py").write_text(dedent(code), encoding="utf-8")
        command = (sys.executable, "-m", "pytest", "-W", "error", "--strict-markers")
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", "-p", "no:asyncio", *options, "test_app.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if passed:
            assert re.search(rf"=+ {passed} passed in", done.stdout), done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [module for module in modules if find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def test_a_plain_test_has_a_server_and_a_client(run: Run) -> None:
    code = """
        import asyncio
        from openai_async.testing import Reply

        def test_one(openai_server, openai_client):
            async def ask():
                return (await openai_client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "?"}])).text

            openai_server.script(Reply("4"), Reply("2"))
            assert asyncio.run(ask()) + asyncio.run(ask()) == "42"
    """
    run(code, passed=1)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_async_tests_of_pytest_asyncio(run: Run, mode: str) -> None:
    code = """
        import pytest
        from openai_async.testing import Failure, Reply

        pytestmark = pytest.mark.asyncio
        ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": "?"}]}

        @pytest.mark.parametrize("number", range(3))
        async def test_one(openai_server, openai_client, number):
            openai_server.script(Failure(503, headers={"retry-after-ms": "1"}), Reply("42"))
            answer = await openai_client.chat.completions.create(**ask)
            assert (answer.text, answer.meta.attempts) == ("42", 2)
            assert await openai_server.received(2) is openai_server.requests[-1]

        async def test_a_stream_left_open(openai_server, openai_client):
            openai_server.script(Failure(stall_after=1))
            stream = openai_client.chat.completions.create(**ask, stream=True)
            async for text in stream.text():
                break
    """
    scope = "asyncio_default_fixture_loop_scope=function"
    run(code, "-p", "asyncio", "--asyncio-mode", mode, "-o", scope, passed=4)


@needs("anyio")
def test_async_tests_of_anyio(run: Run) -> None:
    code = """
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        @pytest.mark.parametrize("number", range(2))
        async def test_one(openai_client, number):
            assert await openai_client.models.list()
    """
    run(code, passed=2)


def test_each_test_has_its_own_server(run: Run) -> None:
    code = """
        import asyncio, pytest, threading
        from openai_async.testing import Reply

        @pytest.mark.parametrize("number", range(2))
        def test_one(openai_server, openai_client, number):
            assert (openai_server.requests, openai_server.pending) == ([], 0)
            assert [thread.name for thread in threading.enumerate()].count("LocalServer") == 1
            assert len(asyncio.run(openai_client.files.list()).data) == 0
            asyncio.run(openai_client.files.create(file=("a.txt", b"a"), purpose="user_data"))
            openai_server.script(Reply("not used"))

        def test_afterwards():
            assert "LocalServer" not in [thread.name for thread in threading.enumerate()]
    """
    run(code, passed=3)


def test_an_app_that_makes_its_own_client_finds_the_server(run: Run) -> None:
    code = """
        import asyncio, os
        from openai_async import AsyncClient

        async def app():
            async with AsyncClient() as client:
                return await client.models.list()

        def test_one(openai_server):
            assert asyncio.run(app())
            assert openai_server.requests[0].headers["authorization"] == "Bearer local"

        def test_afterwards():
            assert not {"OPENAI_BASE_URL", "OPENAI_API_KEY"} & {*os.environ}
    """
    run(code, passed=2)


def test_a_marker_has_the_options_of_the_server(run: Run) -> None:
    code = """
        import asyncio, pytest
        from openai_async import AsyncClient

        @pytest.mark.openai_server(models=["mine"], api_key="sk-secret")
        def test_one(openai_server, openai_client):
            assert [model.id for model in asyncio.run(openai_client.models.list())] == ["mine"]

            async def app():
                async with AsyncClient() as client:
                    return await client.models.list()

            asyncio.run(app())
    """
    run(code, passed=1)
    wrong = """
        import pytest

        @pytest.mark.openai_server(tokens_per_second=-1)
        def test_one(openai_server): ...
    """
    assert "tokens_per_second must be a number above 0 or None, not -1" in run(wrong)


def test_nothing_is_imported_until_a_test_uses_it(run: Run) -> None:
    code = """
        import sys

        def test_one(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("openai_async")
            loaded = {name for name in sys.modules if name.startswith("openai_async")}
            assert loaded == {
                "openai_async", "openai_async._submodules", "openai_async._version",
                "openai_async.testing", "openai_async.testing.pytest_plugin",
            }
            assert "aiohttp" not in sys.modules
    """
    run(code, passed=1)


def test_pytest_may_be_started_by_a_program_that_uses_the_package(tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text("def test_one(openai_server): ...", encoding="utf-8")
    code = "import openai_async, pytest; pytest.main(['-W', 'error', '-p', 'no:asyncio', '.'])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": python_path(tmp_path / "site"), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_it_can_be_turned_off(run: Run) -> None:
    code = "def test_one(openai_server): ..."
    assert "fixture 'openai_server' not found" in run(code, "-p", "no:openai_async")


@needs("starlette", "httpx2")
def test_a_starlette_app_in_its_test_client(run: Run) -> None:
    code = """
        from contextlib import asynccontextmanager

        from openai_async import AsyncClient
        from openai_async.testing import Failure, Reply
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from starlette.testclient import TestClient

        async def answer(request):
            client = request.app.state.client
            messages = [{"role": "user", "content": request.query_params["q"]}]
            result = await client.chat.completions.create(model="gpt-4o", messages=messages)
            return PlainTextResponse(result.text)

        @asynccontextmanager
        async def lifespan(app):
            async with AsyncClient() as app.state.client:
                yield

        def test_one(openai_server):
            openai_server.script(Failure(503, headers={"retry-after-ms": "1"}), Reply("42"))
            with TestClient(Starlette(routes=[Route("/", answer)], lifespan=lifespan)) as browser:
                assert browser.get("/", params={"q": "6 x 7?"}).text == "42"
            assert openai_server.requests[1].json["messages"][0]["content"] == "6 x 7?"
    """
    run(code, passed=1)


@needs("flask", "openai")
def test_a_flask_app_with_the_official_client(run: Run) -> None:
    code = """
        import flask
        import openai
        from openai_async.testing import Reply

        app = flask.Flask(__name__)

        @app.get("/")
        def answer():
            with openai.OpenAI() as client:
                result = client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "6 x 7?"}])
            return result.choices[0].message.content

        def test_one(openai_server):
            openai_server.script(Reply("42"))
            assert app.test_client().get("/").text == "42"
    """
    run(code, passed=1)


@needs("django")
def test_a_django_app_in_its_test_client(run: Run) -> None:
    code = """
        import django
        from django.conf import settings
        from django.http import HttpResponse
        from django.test import Client
        from django.urls import path
        from openai_async import AsyncClient
        from openai_async.testing import Reply

        async def answer(request):
            async with AsyncClient() as client:
                result = await client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "6 x 7?"}])
            return HttpResponse(result.text)

        urlpatterns = [path("", answer)]

        def test_one(openai_server):
            settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
            django.setup()
            openai_server.script(Reply("42"))
            assert Client().get("/").content == b"42"
    """
    run(code, passed=1)
