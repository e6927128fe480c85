"""The command line: `main()`, which the `openai-async` script calls."""

import importlib.util
import sys

_NEEDED = ("cyclopts", "rich")


def main() -> int:
    """Run the command in `sys.argv`; returns the exit code."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return _without(missing)
    from .app import run

    return run(sys.argv[1:])


def _without(missing: list[str]) -> int:
    """What works without the `cli` extra: `--version`."""
    if sys.argv[1:] == ["--version"]:
        from openai_async import __version__

        print(__version__)
        return 0
    hint = 'pip install "openai_async[cli]"'
    print(f"error: The command line needs {' and '.join(missing)}: {hint}", file=sys.stderr)
    return 1
