"""The input, read once to validate every line, and once more for the requests to send.

Both passes apply the same rules. Neither keeps the contents of the file in memory, nor its ids,
only digests of the ids.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Iterator
from gc import get_referents
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from attrs import Factory, define, frozen

from ...errors import InvalidArgumentError
from ..ids import IdSet
from ..requests import MAX_ID, BatchRequest
from .lines import Line, parse_json, read_lines
from .quick import quick_id, quick_request
from .repeated_ids import RepeatedIds
from .wrong_format import describe_wrong_format

ProblemWith: TypeAlias = Callable[[BatchRequest], str | None]
"""What is wrong with a valid request in this run, as one short sentence."""

# How many bad lines are kept to be reported. A file with more repeats one mistake.
MAX_BAD_LINES = 1000
# How many mistakes are in a message, and line numbers for each: what can be read at a glance.
MAX_MISTAKES = 10
MAX_NUMBERS = 5
# What may differ between two cases of one mistake: quoted names, and numbers.
_DETAILS = re.compile(r"""'[^']*'|"[^"]*"|\d+""")
# How deep a body may be nested. Deeper ones could be read, but not sent from deep in a call stack:
# Python allows 1,000 calls and levels of JSON together.
MAX_DEPTH = 400


@frozen(kw_only=True)
class BadLine:
    """A line of the input that is not a valid request.

    Attributes:
        number: of the line in the file; the first is 1.
        custom_id: its id, if it has one that no earlier line has.
        problem: what is wrong with it, as one short sentence.
    """

    number: int
    custom_id: str | None
    problem: str


@define(kw_only=True)
class Mistake:
    """A mistake in one or more lines.

    Attributes:
        first: the first of these lines.
        count: how many there are.
        numbers: the line numbers of the next few.
    """

    first: BadLine
    count: int = 1
    numbers: list[int] = Factory(list)

    def __str__(self) -> str:
        text = f"line {self.first.number}: {self.first.problem}"
        if self.count == 1:
            return text
        lines = "line" if self.count == 2 else "lines"
        more = "" if self.count - 1 == len(self.numbers) else ", ..."
        listed = ", ".join(map(str, self.numbers))
        return f"{text} ({self.count - 1:,} more like it: {lines} {listed}{more})"


@define(kw_only=True)
class InputCheck:
    """What is in an input file.

    Attributes:
        requests: how many lines are valid.
        bad: the first 1000 lines that are not.
        bad_count: how many of those there are in all.
        mistakes: what is wrong with them, each kind of mistake once; the first 10 kinds.
        wrong_format: one sentence on what the whole file is, if no line is valid and its format
            is known.
    """

    requests: int = 0
    bad: list[BadLine] = Factory(list)
    bad_count: int = 0
    mistakes: dict[str, Mistake] = Factory(dict)
    wrong_format: str | None = None

    def add(self, line: BadLine) -> None:
        """Add a line that is not valid."""
        self.bad_count += 1
        if len(self.bad) < MAX_BAD_LINES:
            self.bad.append(line)
        kind = _DETAILS.sub("", line.problem)
        if (mistake := self.mistakes.get(kind)) is not None:
            mistake.count += 1
            if len(mistake.numbers) < MAX_NUMBERS:
                mistake.numbers.append(line.number)
        elif len(self.mistakes) < MAX_MISTAKES:
            self.mistakes[kind] = Mistake(first=line)


def check_input(
    path: Path,
    *,
    read: Callable[[Path], Iterable[Line]] = read_lines,
    problem_with: ProblemWith | None = None,
) -> InputCheck:
    """Read the whole input, and return what is in it.

    Args:
        path: a JSONL file of requests, or what `read` reads.
        read: returns the lines of `path`; called a second time if ids are repeated.
        problem_with: what else is wrong with a request.

    Raises:
        InvalidArgumentError: the file cannot be read, or not twice, or is empty.
    """
    if _is_pipe(path):
        msg = f"{path} is a pipe, which cannot be read twice: write it to a file first."
        raise InvalidArgumentError(msg)
    ids = RepeatedIds()
    check = _check(path, read(path), ids, problem_with)
    if ids.any_likely():  # finding the lines takes more memory and another pass
        check = _check(path, read(path), IdSet(), problem_with)
    if not check.requests and not check.bad_count:
        msg = f"{path} is empty: write one request on each line."
        raise InvalidArgumentError(msg)
    return check


def _check(
    path: Path,
    lines: Iterable[Line],
    seen: IdSet | RepeatedIds,
    problem_with: ProblemWith | None,
) -> InputCheck:
    check = InputCheck()
    lines = iter(lines)
    first = next(lines, None)
    for line in lines if first is None else chain([first], lines):
        outcome: str | BatchRequest | BadLine | None = None
        if problem_with is None:
            outcome = quick_id(line.data)
        outcome = outcome or _outcome(line, problem_with)
        custom_id = outcome if isinstance(outcome, str) else outcome.custom_id
        if custom_id is not None and not seen.add(custom_id):
            outcome = _repeating(line, outcome, custom_id)
        if isinstance(outcome, BadLine):
            check.add(outcome)
        else:
            check.requests += 1
    if first is not None and not check.requests:
        check.wrong_format = describe_wrong_format(path, first)
    return check


def _is_pipe(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False  # the reader raises, or finds the file elsewhere
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise InvalidArgumentError(msg) from error
    except ValueError as error:
        msg = f"{str(path)!r} is not a valid path: it contains a NUL."
        raise InvalidArgumentError(msg) from error
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def describe(check: InputCheck, path: Path | str) -> str:
    """What the file is, in one sentence; or its bad lines, with numbers, and what to do."""
    if check.wrong_format is not None:
        return check.wrong_format
    lines = "line" if check.bad_count == 1 else "lines"
    rows = [f"  {mistake}" for mistake in check.mistakes.values()]
    if left := check.bad_count - sum(mistake.count for mistake in check.mistakes.values()):
        rows.append(f"  and {left:,} more.")
    head = f"{path} has {check.bad_count:,} bad {lines}, and {check.requests:,} good:"
    return "\n".join([head, *rows, "Fix them, or pass skip_bad_lines to leave them out."])


def requests_of(
    path: Path,
    done: IdSet,
    *,
    on_bad: Callable[[BadLine], None] | None,
    read: Callable[[Path], Iterable[Line]] = read_lines,
    problem_with: ProblemWith | None = None,
) -> Iterator[BatchRequest]:
    """The requests of a validated input that are not done, in the order of the file.

    Args:
        path, read, problem_with: as for `check_input`.
        done: ids of requests to leave out. Not changed.
        on_bad: called with each bad line, done or not. `None`: the check has found none. Then ids
            are not compared again, which saves 34 MB per million.

    Raises:
        InvalidArgumentError: the file cannot be read, or has a bad line and there is no `on_bad`.
    """
    left_out = done or ()  # if nothing is done yet, no digest of each id is made
    for outcome in _parsed(read(path), None if on_bad is None else IdSet(), problem_with):
        if isinstance(outcome, BatchRequest):
            if outcome.custom_id not in left_out:
                yield outcome
        elif on_bad is None:
            msg = f"{path}, line {outcome.number}: {outcome.problem}"
            raise InvalidArgumentError(msg)
        else:
            on_bad(outcome)


def _parsed(
    lines: Iterable[Line], seen: IdSet | None, problem_with: ProblemWith | None
) -> Iterator[BatchRequest | BadLine]:
    """Each line parsed. Of lines with the same id, bad or not, only the first is valid."""
    for line in lines:
        outcome = _outcome(line, problem_with)
        if seen is None or outcome.custom_id is None or seen.add(outcome.custom_id):
            yield outcome
        else:
            yield _repeating(line, outcome, outcome.custom_id)


def _repeating(line: Line, outcome: object, custom_id: str) -> BadLine:
    """What to report for a line that repeats the id of an earlier one."""
    if isinstance(outcome, BadLine):
        return BadLine(number=line.number, custom_id=None, problem=outcome.problem)
    problem = f"custom_id {custom_id[:80]!r} repeats that of an earlier line."
    return BadLine(number=line.number, custom_id=None, problem=problem)


def _outcome(line: Line, problem_with: ProblemWith | None) -> BatchRequest | BadLine:
    """The request in a line, or what is wrong with it."""
    outcome = quick_request(line.data) or _parse(line)
    if problem_with is not None and isinstance(outcome, BatchRequest):
        problem = problem_with(outcome)
        if problem is not None:
            return BadLine(number=line.number, custom_id=outcome.custom_id, problem=problem)
    return outcome


def _parse(line: Line) -> BatchRequest | BadLine:
    """The request in a line, or what is wrong with it."""
    value: object = None
    try:
        value = parse_json(line)
        request = BatchRequest.of(value)
        _check_depth(line, request)
        return request
    except InvalidArgumentError as error:
        return BadLine(number=line.number, custom_id=_readable_id(value), problem=str(error))


def _check_depth(line: Line, request: BatchRequest) -> None:
    if line.data.count(b"[") + line.data.count(b"{") <= MAX_DEPTH:
        return
    level: list[object] = [request.body]
    for _ in range(MAX_DEPTH):
        level = get_referents(*level)  # everything in the lists and objects of this level
    if level:
        msg = "body is nested too deep: flatten its lists and objects."
        raise InvalidArgumentError(msg)


def _readable_id(value: object) -> str | None:
    """The id of a line that has another mistake."""
    custom_id = value.get("custom_id") if isinstance(value, dict) else None
    usable = isinstance(custom_id, str) and 0 < len(custom_id) <= MAX_ID
    return custom_id if usable else None
