"""A sampling profiler: at each tick of the profiling timer, it looks up which instruction of which
frame is running, and which part of the program that belongs to.

Unlike a profiler that traces each call, it does not make small functions look more expensive than
they are. Python runs a signal handler only after calls, at the start of a function and at the end
of each pass of a loop. So a sample at the start of a function belongs to its caller. C functions
have no frames, so a sample at the call of one belongs to that function.
"""

from __future__ import annotations

import ast
import builtins
import dis
import gc
import linecache
import signal
from collections import Counter
from collections.abc import Callable
from itertools import islice
from types import CodeType, FrameType, TracebackType

INTERVAL = 0.001
"""Seconds of CPU time. Linux does not sample more often than its own clock ticks: often 250 Hz."""
COLLECTING = "garbage collection"

_RESUME = dis.opmap["RESUME"]
_CALLS = ("CALL", "PRECALL")  # PRECALL: Python 3.11

PartOf = Callable[[str, str | None], str | None]
"""The part that a file, or the module of the C function that it is calling, belongs to; `None` for
a file whose time counts for its caller.
"""


class Sampler:
    """A context manager that counts samples by part. In the main thread only."""

    def __init__(self, part_of: PartOf) -> None:
        self.counts: Counter[str] = Counter()
        self._part_of = part_of
        self._parts: dict[tuple[CodeType, int], str | None] = {}

    def __enter__(self) -> None:
        gc.callbacks.append(_collected)
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        gc.callbacks.remove(_collected)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        assert frame is not None
        self.counts[self._part(frame)] += 1

    def _part(self, frame: FrameType) -> str:
        if frame.f_code is _COLLECTED:
            # What ran before this call: the collection if it has just ended, else the program.
            if frame.f_locals["phase"] == "stop":
                return COLLECTING
            frame = _caller(frame)
        elif frame.f_code.co_code[frame.f_lasti] == _RESUME:
            frame = _caller(frame)
        found: FrameType | None = frame
        while found is not None:
            part = self._of_instruction(found)
            if part is not None:
                return part
            found = found.f_back
        return "other"

    def _of_instruction(self, frame: FrameType) -> str | None:
        key = frame.f_code, frame.f_lasti
        if key not in self._parts:
            self._parts[key] = self._part_of(frame.f_code.co_filename, _called_module(frame))
        return self._parts[key]


def _collected(phase: str, info: dict[str, int]) -> None:
    """Called before and after each collection, so that a pending sample is taken at that point."""


_COLLECTED = _collected.__code__


def _caller(frame: FrameType) -> FrameType:
    return frame.f_back or frame


def _called_module(frame: FrameType) -> str | None:
    """The module of the C function that the current instruction calls, if it calls one."""
    code, index = frame.f_code, frame.f_lasti // 2
    if not dis.opname[code.co_code[frame.f_lasti]].startswith(_CALLS):
        return None
    called = _evaluate(_call_at(code, index), frame)
    if called is None or hasattr(called, "__code__") or hasattr(called, "__func__"):
        return None
    owner = getattr(called, "__self__", None)
    if owner is None or isinstance(owner, type(builtins)):  # a function of a module
        module = getattr(called, "__module__", None)
    else:
        module = _module_of_method(type(owner), getattr(called, "__name__", ""))
    return module if isinstance(module, str) else None


def _module_of_method(kind: type, name: str) -> str:
    """The module of the class that has the method: a subclass in Python may be elsewhere."""
    return next((base.__module__ for base in kind.__mro__ if name in vars(base)), kind.__module__)


def _call_at(code: CodeType, index: int) -> ast.expr | None:
    """The expression in the source that an instruction calls; `None` if it cannot be found."""
    line, end_line, start, end = next(islice(code.co_positions(), index, None))
    if line is None or line != end_line or start is None or end is None:
        return None
    source = linecache.getline(code.co_filename, line).encode()[start:end].decode()
    try:
        expression = ast.parse(source.strip(), mode="eval").body
    except SyntaxError:
        return None
    while isinstance(expression, ast.Await):
        expression = expression.value
    return expression.func if isinstance(expression, ast.Call) else None


def _evaluate(expression: ast.expr | None, frame: FrameType) -> object:
    """The value of a name or of an attribute of one."""
    if isinstance(expression, ast.Attribute):
        return getattr(_evaluate(expression.value, frame), expression.attr, None)
    if not isinstance(expression, ast.Name):
        return None
    for names in (frame.f_locals, frame.f_globals, vars(builtins)):
        if expression.id in names:
            return names[expression.id]
    return None
