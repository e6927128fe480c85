"""The input, read once before anything is sent, and once more for what is to be sent.

Both passes judge a line in the same way. Neither holds the file's contents, nor its ids: only
digests of them.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from attrs import Factory, define, frozen

from ...errors import InvalidArgumentError
from ...jsontext import dumps
from ..ids import IdSet
from ..requests import MAX_ID, BatchRequest
from .lines import Line, parse_json, read_lines
from .shapes import shape_of

# Lines kept to be told of. Who has more has one mistake many times.
MAX_KEPT = 1000
# Mistakes in a message, and line numbers listed for each: what can be read at a glance.
MAX_TOLD = 10
MAX_NUMBERS = 5
# What may differ between two cases of one mistake: quoted names, and numbers.
_DETAILS = re.compile(r"""'[^']*'|"[^"]*"|\d+""")
# With fewer, no line is nested too deep. Writing each body would make the check take 5 % longer.
MANY_BRACKETS = 200


@frozen(kw_only=True)
class BadLine:
    """A line that is no request.

    Attributes:
        number: which line of the file; the first is 1.
        custom_id: its id, where it has one that no earlier line has.
        problem: what is wrong with it, as one short sentence.
    """

    number: int
    custom_id: str | None
    problem: str


@define(kw_only=True)
class Mistake:
    """Something that is wrong with one or more lines.

    Attributes:
        first: the first of these lines.
        count: how many there are.
        numbers: the numbers of the next few.
    """

    first: BadLine
    count: int = 1
    numbers: list[int] = Factory(list)

    def __str__(self) -> str:
        said = f"line {self.first.number}: {self.first.problem}"
        if self.count == 1:
            return said
        lines = "line" if self.count == 2 else "lines"
        more = "" if self.count - 1 == len(self.numbers) else ", ..."
        listed = ", ".join(map(str, self.numbers))
        return f"{said} ({self.count - 1:,} more like it: {lines} {listed}{more})"


@define(kw_only=True)
class InputCheck:
    """What is in an input file.

    Attributes:
        requests: how many lines are good.
        bad: the first 1000 lines that are not.
        bad_count: how many there are in all.
        mistakes: what is wrong with them, each kind of mistake once; the first 10 kinds.
        shape: one sentence on what the whole file is, if that is known and no line is good.
    """

    requests: int = 0
    bad: list[BadLine] = Factory(list)
    bad_count: int = 0
    mistakes: dict[str, Mistake] = Factory(dict)
    shape: str | None = None

    def add(self, line: BadLine) -> None:
        """One more line that is not good."""
        self.bad_count += 1
        if len(self.bad) < MAX_KEPT:
            self.bad.append(line)
        kind = _DETAILS.sub("", line.problem)
        if (mistake := self.mistakes.get(kind)) is not None:
            mistake.count += 1
            if len(mistake.numbers) < MAX_NUMBERS:
                mistake.numbers.append(line.number)
        elif len(self.mistakes) < MAX_TOLD:
            self.mistakes[kind] = Mistake(first=line)


def check_input(
    path: Path,
    *,
    read: Callable[[Path], Iterable[Line]] = read_lines,
) -> InputCheck:
    """Read the whole input, and say what is in it.

    Args:
        path: a JSONL file of requests, or what `read` reads.
        read: gives the lines of `path`, each time it is called.

    Raises:
        InvalidArgumentError: the file cannot be read, or not twice, or holds no line at all.
    """
    if _is_pipe(path):
        msg = f"{path} is a pipe, which cannot be read twice: write it to a file first."
        raise InvalidArgumentError(msg)
    check = InputCheck()
    lines = iter(read(path))
    first = next(lines, None)
    for outcome in _judged(lines if first is None else chain([first], lines), IdSet()):
        if isinstance(outcome, BadLine):
            check.add(outcome)
        else:
            check.requests += 1
    if first is not None and not check.requests:
        check.shape = shape_of(path, first)
    if not check.requests and not check.bad_count:
        msg = f"{path} is empty: write one request on each line."
        raise InvalidArgumentError(msg)
    return check


def _is_pipe(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False  # who reads says so, or knows better
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise InvalidArgumentError(msg) from error
    except ValueError as error:
        msg = f"{str(path)!r} is no path, with that NUL in it: name a file."
        raise InvalidArgumentError(msg) from error
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def describe(check: InputCheck, path: Path | str) -> str:
    """What the file is, in one sentence; or its bad lines, by number, and what to do."""
    if check.shape is not None:
        return check.shape
    lines = "line" if check.bad_count == 1 else "lines"
    told = [f"  {mistake}" for mistake in check.mistakes.values()]
    if left := check.bad_count - sum(mistake.count for mistake in check.mistakes.values()):
        told.append(f"  and {left:,} more.")
    head = f"{path} has {check.bad_count:,} bad {lines}, beside {check.requests:,} good:"
    return "\n".join([head, *told, "Fix them, or pass skip_bad_lines to do without them."])


def requests_of(
    path: Path,
    done: IdSet,
    *,
    on_bad: Callable[[BadLine], None] | None,
    read: Callable[[Path], Iterable[Line]] = read_lines,
) -> Iterator[BatchRequest]:
    """The requests of a checked input that are not done, in the order of the file.

    Args:
        path, read: what `check_input` has read, and how.
        done: ids of those to leave out. Not changed.
        on_bad: told of each bad line, done or not. `None`: the check has found none. Then ids are
            not compared again, which saves 34 MB per million.

    Raises:
        InvalidArgumentError: the file cannot be read, or has a bad line and there is no `on_bad`.
    """
    for outcome in _judged(read(path), None if on_bad is None else IdSet()):
        if isinstance(outcome, BatchRequest):
            if outcome.custom_id not in done:
                yield outcome
        elif on_bad is None:
            msg = f"{path}, line {outcome.number}: {outcome.problem}"
            raise InvalidArgumentError(msg)
        else:
            on_bad(outcome)


def _judged(lines: Iterable[Line], seen: IdSet | None) -> Iterator[BatchRequest | BadLine]:
    """Each line as what it is. Of lines with the same id, bad or not, the first has it."""
    for line in lines:
        outcome = _outcome(line)
        if seen is None or outcome.custom_id is None or seen.add(outcome.custom_id):
            yield outcome
        elif isinstance(outcome, BadLine):
            yield BadLine(number=line.number, custom_id=None, problem=outcome.problem)
        else:
            problem = f"custom_id {outcome.custom_id[:80]!r} is also that of an earlier line."
            yield BadLine(number=line.number, custom_id=None, problem=problem)


def _outcome(line: Line) -> BatchRequest | BadLine:
    value: object = None
    try:
        value = parse_json(line)
        request = BatchRequest.of(value)
        _check_depth(line, request)
        return request
    except InvalidArgumentError as error:
        return BadLine(number=line.number, custom_id=_readable_id(value), problem=str(error))


def _check_depth(line: Line, request: BatchRequest) -> None:
    """Not all that can be read can be sent: orjson reads 1,024 levels, and writes 254."""
    if line.data.count(b"[") + line.data.count(b"{") > MANY_BRACKETS:
        try:
            dumps(request.body)
        except InvalidArgumentError as error:
            msg = "body is nested too deep: put fewer lists and objects in each other."
            raise InvalidArgumentError(msg) from error


def _readable_id(value: object) -> str | None:
    """The id of a line that has another fault."""
    custom_id = value.get("custom_id") if isinstance(value, dict) else None
    usable = isinstance(custom_id, str) and 0 < len(custom_id) <= MAX_ID
    return custom_id if usable else None
