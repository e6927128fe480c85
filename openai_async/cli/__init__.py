"""The command line: `main()`, which the `openai-async` script calls, and nothing else."""

import importlib.util
import sys

_NEEDED = ("cyclopts", "rich")


def main() -> int:
    """Run the command in `sys.argv`; returns the exit code."""
    if not all(importlib.util.find_spec(name) for name in _NEEDED):
        print("The command line needs: pip install cyclopts rich", file=sys.stderr)
        return 1
    from .app import run

    return run(sys.argv[1:])
