"""Which module may import which: only from the layers below, and never in a circle.

Imports inside functions and under `TYPE_CHECKING` count like all others. docs/architecture.md
shows the same picture.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import openai_async

PACKAGE = Path(openai_async.__file__).parent

# From the bottom up. A module may import from the layers below its own, and from its own.
# A name stands for a module or a whole room; the longest name that fits decides.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("_version", "_submodules", "_log_setup", "sentinels"),
    # Answers as data. They are below the exceptions, since an interrupted stream's has one of them.
    (
        *("types.values", "types.normalize", "types.reasoning", "types.structuring"),
        *("types.model_methods", "types.file_types", "types.upload_progress", "types.notebooks"),
        *("types.base", "types.rate_limits", "types.chat_completion", "types.models"),
        *("types.chat_chunk", "types.chat_common", "types.chat_logprobs"),
        *("types.chat_message_parts", "types.chat_moderation", "types.chat_tool_calls"),
    ),
    ("errors",),
    ("jsontext", "_unawaited", "_unix_sockets"),
    ("options", "official_options"),
    ("types.chat_params", "types.chat_message_params", "types.chat_option_params"),
    ("wire.redaction", "wire.failures"),
    ("images",),
    ("types",),
    ("structured",),
    ("wire",),
    ("http",),
    ("hooks",),
    ("middleware",),
    ("relay",),
    ("streaming",),
    ("resources",),
    ("vision", "content_parts", "client"),
    ("conversation", "conversation_stream", "turns"),
    ("",),  # openai_async itself
    ("batch", "testing", "adapters", "web"),
    ("cli", "__main__"),
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}

# What is built on the package uses what a user imports.
PUBLIC = {
    *("", "client", "content_parts", "errors", "jsontext", "options", "vision", "conversation"),
    *("conversation_stream", "hooks", "middleware", "middleware.pacing", "batch", "testing"),
}
PUBLIC_ROOMS = ("types", "resources", "structured", "relay")
BUILT_ON_TOP = ("batch", "testing", "adapters", "web", "cli")


def name_of(path: Path) -> str:
    """A module by its name below `openai_async`; "" for that itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(module: str) -> Iterator[str]:
    """The modules of the package that a module imports, wherever in its code."""
    path = MODULES[module]
    package = ("openai_async." + module).rstrip(".").split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            where = ".".join([*above, *([node.module] if node.module else [])])
            found = [f"{where}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            if name.split(".")[0] != "openai_async":
                continue
            below = name.removeprefix("openai_async").removeprefix(".")
            # The last word may be the name of a function or a class.
            yield below if below in MODULES else below.rpartition(".")[0]


def layer_of(module: str) -> int:
    while module not in LAYER:
        module = module.rpartition(".")[0]
    return LAYER[module]


def room_of(module: str) -> str:
    return module.partition(".")[0]


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter({module: set(imports(module)) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_imports_only_point_down() -> None:
    wrong = {
        f"{module or 'openai_async'} imports {other or 'openai_async'}"
        for module in MODULES
        for other in imports(module)
        if layer_of(other) > layer_of(module)
    }
    assert wrong == set()


@pytest.mark.parametrize("room", BUILT_ON_TOP)
def test_what_is_built_on_top_uses_what_a_user_imports(room: str) -> None:
    wrong = {
        f"{module} imports {other or 'openai_async'}"
        for module in MODULES
        if room_of(module) == room
        for other in imports(module)
        if room_of(other) != room and other not in PUBLIC and room_of(other) not in PUBLIC_ROOMS
    }
    assert wrong == set()
