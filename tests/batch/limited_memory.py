"""Reading an input in a process that may not use more than so much memory."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

_CODE = """
import sys
from pathlib import Path

from openai_async.batch.input.lines import read_lines

print([(line.number, bool(line.problem)) for line in read_lines(Path(sys.argv[1]))])
"""


def lines_read_within(mebibytes: int, path: Path) -> list[tuple[int, bool]]:
    """The number of each line, and whether it has a problem."""
    limit = mebibytes << 20
    done = subprocess.run(
        [sys.executable, "-c", _CODE, path],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    assert done.returncode == 0, done.stderr
    read: list[tuple[int, bool]] = ast.literal_eval(done.stdout)
    return read
