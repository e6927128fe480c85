"""The names of the package: imported at their first use, and the same for Python and type checkers.

Some tests need an interpreter that has not imported anything yet.
"""

from __future__ import annotations

import ast
import importlib
import json
import pickle
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import openai_async
from openai_async._submodules import LazyModule

SOURCE = Path(openai_async.__file__)
# Imported at once.
EAGER = {"__version__"}
LAZY = sorted({*openai_async.__all__} - EAGER)


def fresh(code: str, stdin: bytes = b"") -> str:
    """What the code prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        input=stdin,
        capture_output=True,
        cwd=SOURCE.parents[1],
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode()


def imports_for_type_checkers() -> list[tuple[str | None, str]]:
    """Module and name of each import below `if TYPE_CHECKING:`."""
    block = next(
        statement
        for statement in ast.parse(SOURCE.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
    )
    imports = [statement for statement in block.body if isinstance(statement, ast.ImportFrom)]
    assert len(imports) == len(block.body)
    assert all(statement.level == 1 for statement in imports)
    names = [(statement.module, alias) for statement in imports for alias in statement.names]
    assert not [alias.name for _, alias in names if alias.asname]
    return [(module, alias.name) for module, alias in names]


def test_python_and_type_checkers_see_the_same_names_in_the_same_modules() -> None:
    table = [(module, name) for module, names in openai_async._MODULES.items() for name in names]
    assert sorted(table) == sorted(imports_for_type_checkers())
    assert sorted(name for _, name in table) == LAZY


def test_all_is_a_sorted_list_of_literals() -> None:
    values = [
        statement.value
        for statement in ast.parse(SOURCE.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
    ]
    assert [ast.literal_eval(value) for value in values] == [openai_async.__all__]
    constants_first = sorted({*openai_async.__all__}, key=lambda name: (not name.isupper(), name))
    assert openai_async.__all__ == constants_first


@pytest.mark.parametrize(("module", "name"), imports_for_type_checkers())
def test_every_name_is_imported_at_its_first_use_and_kept(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(vars(openai_async), name, raising=False)
    there: dict[str, object] = {}
    exec(f"from openai_async import {name}", there)
    assert there[name] is getattr(importlib.import_module(f"openai_async.{module}"), name)
    assert vars(openai_async)[name] is there[name]


def test_the_import_alone_loads_no_dependency() -> None:
    loaded = fresh("import sys, openai_async; print(*sys.modules)").split()
    assert "openai_async" in loaded
    heavy = {"aiohttp", "yarl", "multidict", "cattrs", "attrs", "attr", "msgspec", "asyncio"}
    assert not heavy.intersection(loaded)


# What a plain chat request has no use for.
UNUSED = (
    *("openai_async.http.multipart", "openai_async.types.files", "openai_async.types.uploads"),
    *("openai_async.streaming", "openai_async.wire.sse", "openai_async.wire.assembly"),
    *("openai_async.types.chat_chunk", "openai_async.types.chat_logprobs"),
    *("openai_async.types.chat_tool_calls", "openai_async.types.chat_message_params"),
    *("openai_async.middleware.pacing", "openai_async.types.images"),
    *("openai_async.types.embeddings", "openai_async.types.moderations"),
    *("openai_async.resources.paging", "openai_async.types.stored_chats"),
)


PLAIN_REQUEST = """\
import asyncio, sys
from openai_async import AsyncClient, Response

async def answer(request, send):
    body = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}]}'
    return Response(status=200, headers={}, body=body)

async def main():
    async with AsyncClient(api_key="k", middlewares=[answer]) as client:
        return await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}]
        )

assert asyncio.run(main()).text == "hi"
print(*sys.modules)
"""


def test_a_plain_request_imports_no_streams_and_no_class_that_its_answer_does_not_have() -> None:
    loaded = fresh(PLAIN_REQUEST).split()
    assert "openai_async.types.chat_completion" in loaded
    assert not {*UNUSED}.intersection(loaded)


def test_the_names_of_chat_answers_and_parameters_are_imported_on_first_use() -> None:
    code = (
        "from openai_async.types.chat import ChatCompletionChunk, ChoiceLogprobs, CompletionUsage\n"
        "from openai_async.types.chat_params import FunctionTool, UserMessage\n"
        "import openai_async.types.chat as chat\n"
        "print(ChatCompletionChunk.__name__, UserMessage.__name__, hasattr(chat, 'Missing'))"
    )
    assert fresh(code).split() == ["ChatCompletionChunk", "UserMessage", "False"]


@pytest.mark.parametrize("module", ["chat", "chat_params"])
def test_all_names_of_a_lazy_module_are_listed(module: str) -> None:
    """For `dir()` and for star imports: `__all__` is what its parts define."""
    whole = importlib.import_module(f"openai_async.types.{module}")
    values = [*vars(whole).values(), *vars(whole).get("_modules", ())]
    parts = [part for part in values if isinstance(part, LazyModule)]
    modules = [whole, *(importlib.import_module(part._name) for part in parts)]
    defined = {
        name
        for part in modules
        for name, value in vars(part).items()
        if isinstance(value, type) and value.__module__ in {one.__name__ for one in modules}
    }
    defined = {name for name in defined if not name.startswith("_")}
    assert defined <= {*whole.__all__} <= {*dir(whole)}
    assert all(hasattr(whole, name) for name in whole.__all__)


def test_dir_shows_every_name_and_imports_none() -> None:
    shown = fresh("import sys, openai_async; print(*dir(openai_async), 'aiohttp' in sys.modules)")
    *names, loaded = shown.split()
    assert {*openai_async.__all__} <= {*names}
    assert loaded == "False"


# Imports as users write them; each is to print the name of the module.
IMPORTS = {
    f"{package}.{name}": (
        f"import {package}.{name}; print({package}.{name}.__name__)",
        f"from {package} import {name}; print({name}.__name__)",
    )
    for package, name in (
        *(("openai_async", name) for name in ("errors", "middleware", "resources", "testing")),
        ("openai_async.types", "chat"),
    )
}
ATTRIBUTES = {
    f"openai_async.{module}": f"import openai_async; print(openai_async.{module}.__name__)"
    for module in ("errors", "types.images", "resources.models", "testing")
}
STAR = "from openai_async import *; print(*globals())"


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What each of these prints in an interpreter that has not imported any of the package.

    It is one, which forgets the package after each: the libraries below it take the time.
    """
    codes = [STAR, *ATTRIBUTES.values(), *chain.from_iterable(IMPORTS.values())]
    every = (
        "import contextlib, io, json, sys, traceback\n"
        "shown = {}\n"
        f"for code in {codes!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        try:\n"
        "            exec(code, {})\n"
        "        except Exception:\n"
        "            traceback.print_exc(file=out)\n"
        "    shown[code] = out.getvalue().strip()\n"
        "    for name in [*sys.modules]:\n"
        "        if name.partition('.')[0] == 'openai_async':\n"
        "            del sys.modules[name]\n"
        "print(json.dumps(shown))"
    )
    answer: dict[str, str] = json.loads(fresh(every))
    return answer


def test_star_imports_every_name(shown: dict[str, str]) -> None:
    assert {*openai_async.__all__} <= {*shown[STAR].split()}


def test_an_unknown_name_is_the_usual_error() -> None:
    with pytest.raises(AttributeError) as caught:
        # If type checkers do not complain here, they accept any name.
        _ = openai_async.no_such_name  # type: ignore[attr-defined]
    assert str(caught.value) == "module 'openai_async' has no attribute 'no_such_name'"
    assert not hasattr(openai_async, "__wrapped__")
    with pytest.raises(ImportError, match=r"^cannot import name 'no_such_name'"):
        exec("from openai_async import no_such_name")


@pytest.mark.parametrize("module", IMPORTS)
def test_modules_are_imported_as_ever(module: str, shown: dict[str, str]) -> None:
    assert [shown[code] for code in IMPORTS[module]] == [module, module]


@pytest.mark.parametrize("module", ATTRIBUTES)
def test_modules_are_attributes_without_being_imported(module: str, shown: dict[str, str]) -> None:
    assert shown[ATTRIBUTES[module]] == module


def test_pickles_are_read_where_nothing_has_been_imported_yet() -> None:
    data = pickle.dumps(
        (openai_async.NotFoundError("Gone.", status_code=404), openai_async.Timeout(total=3))
    )
    code = "import pickle, sys; error, timeout = pickle.load(sys.stdin.buffer); " + (
        "print(type(error).__name__, error.status_code, timeout.total)"
    )
    assert fresh(code, data).split() == ["NotFoundError", "404", "3"]


def test_the_module_stands_in_for_the_official_one() -> None:
    """A program's `import openai` becomes `import openai_async as openai`."""
    import openai_async as openai

    client = openai.AsyncOpenAI(api_key="k")
    assert isinstance(client, openai.AsyncClient)
    assert issubclass(openai.RateLimitError, openai.APIStatusError)
    assert isinstance(openai.NOT_GIVEN, openai.NotGiven)
    assert isinstance(openai.not_given, openai.NotGiven)
    assert isinstance(openai.omit, openai.Omit)
    assert [bool(openai.NOT_GIVEN), bool(openai.Omit())] == [False, False]
