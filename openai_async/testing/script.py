"""The script a test gives to the server: replies, failures, and their queue."""

import inspect
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from ..jsontext import dumps, strict_loads
from ..options import is_number, is_whole
from .recording import RecordedRequest


class _Unset:
    """Distinguishes an omitted `json` from `json=None`, which is a JSON value."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()


@attrs.frozen
class Reply:
    """A canned answer. The request is not checked: any model, any field.

    `content`, `tool_calls`, `refusal`, `reasoning` (sent as `reasoning_content`) and `extra` (more
    fields of the message) make a chat reply, plain or streamed, as the request asks. `json` answers
    any route with that JSON value.
    """

    content: str | None = attrs.field(default=None)
    tool_calls: list[dict[str, Any]] | None = attrs.field(default=None, kw_only=True)
    refusal: str | None = attrs.field(default=None, kw_only=True)
    reasoning: str | None = attrs.field(default=None, kw_only=True)
    finish_reason: str | None = attrs.field(default=None, kw_only=True)
    usage: dict[str, Any] | None = attrs.field(default=None, kw_only=True)
    extra: dict[str, Any] | None = attrs.field(default=None, kw_only=True)
    json: Any = attrs.field(default=UNSET, kw_only=True)

    def __attrs_post_init__(self) -> None:
        for name in ("content", "refusal", "reasoning"):
            text = getattr(self, name)
            if text is not None and not (isinstance(text, str) and _is_json(text)):
                msg = f"Reply {name} must be a string or None, not {text!r}."
                raise ValueError(msg)
        for call in self.tool_calls or ():
            if not _is_call(call):
                msg = f"A tool call needs a `name` (and `arguments`) or a `function`: {call!r}."
                raise ValueError(msg)
        for name in ("tool_calls", "usage", "extra", "json"):
            value = getattr(self, name)
            if value is not UNSET and not _is_json(value):
                msg = f"Reply {name} is not JSON: {value!r}."
                raise ValueError(msg)
        if self.is_json and any(
            (self.content, self.tool_calls, self.refusal, self.reasoning, self.extra)
        ):
            msg = "A Reply is either `json` or a chat message, not both."
            raise ValueError(msg)

    @property
    def is_json(self) -> bool:
        return self.json is not UNSET


@attrs.frozen
class Failure:
    """An error on the server's side.

    `delay` waits this many seconds first. `status` answers with an error: an OpenAI error made of
    `message`, `code`, `type` and `param`, or `body` as is. `cut_after=n` closes the connection
    after n content tokens; `stall_after=n` stops sending there and keeps it open. 0 is before the
    first chunk. A plain answer is cut in the middle, or stalls after its headers.
    """

    status: int | None = attrs.field(default=None)
    message: str | None = attrs.field(default=None, kw_only=True)
    code: str | None = attrs.field(default=None, kw_only=True)
    type: str | None = attrs.field(default=None, kw_only=True)
    param: str | None = attrs.field(default=None, kw_only=True)
    headers: Mapping[str, str] | None = attrs.field(default=None, kw_only=True)
    body: str | bytes | dict[str, Any] | None = attrs.field(default=None, kw_only=True)
    delay: float = attrs.field(default=0.0, kw_only=True)
    cut_after: int | None = attrs.field(default=None, kw_only=True)
    stall_after: int | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        message = self._problem()
        if message is not None:
            raise ValueError(message)

    def _problem(self) -> str | None:
        """What is wrong with the values, in one sentence."""
        if self.status is not None and not (is_whole(self.status, 200) and self.status <= 599):
            return f"Failure status must be an HTTP status from 200 to 599, not {self.status!r}."
        error_fields = (self.message, self.code, self.type, self.param, self.headers, self.body)
        if self.status is None and any(value is not None for value in error_fields):
            return "Failure needs a status to answer with a message, code, headers or body."
        if not all(_is_header(*item) for item in (self.headers or {}).items()):
            return f"Failure headers must be strings on one line, not {self.headers!r}."
        if not isinstance(self.body, str | bytes | dict | None) or not (
            isinstance(self.body, bytes) or _is_json(self.body)
        ):
            return f"Failure body must be text, bytes or a JSON object, not {self.body!r}."
        if not is_number(self.delay) or not 0 <= self.delay < math.inf:
            return f"Failure delay must be seconds, 0 or more, not {self.delay!r}."
        for name in ("cut_after", "stall_after"):
            count = getattr(self, name)
            if count is not None and not is_whole(count, 0):
                return f"Failure {name} must be a number of tokens, 0 or more, not {count!r}."
        if self.cut_after is not None and self.stall_after is not None:
            return "Failure takes cut_after or stall_after, not both."
        if self.status is None and not self.delay and self.breaks_after is None:
            return "Failure needs a status, a delay, cut_after or stall_after."
        return None

    @property
    def breaks_after(self) -> int | None:
        """After how many content tokens the answer is cut off or stalls, if it does."""
        return self.cut_after if self.cut_after is not None else self.stall_after


# Chooses the answer to a request; None leaves it to others.
Chooser: TypeAlias = Callable[
    [RecordedRequest], Reply | Failure | Awaitable[Reply | Failure | None] | None
]


class Script:
    """A queue of the steps not yet used, and the functions that choose answers by request."""

    def __init__(self) -> None:
        self._steps: deque[Reply | Failure] = deque()
        self._choosers: list[Chooser] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, steps: tuple[Reply | Failure | Chooser, ...], times: int) -> None:
        choosers = [step for step in steps if not isinstance(step, Reply | Failure)]
        for chooser in choosers:
            if not callable(chooser) or isinstance(chooser, type):
                msg = f"A script takes Reply(...), Failure(...) and functions, not {chooser!r}."
                raise TypeError(msg)
        if not is_whole(times, 1):
            msg = f"times must be 1 or more, not {times!r}."
            raise ValueError(msg)
        if choosers and times != 1:
            msg = "times is for Reply(...) and Failure(...): a function is asked every time."
            raise ValueError(msg)
        self._choosers += choosers
        self._steps.extend([step for step in steps if isinstance(step, Reply | Failure)] * times)

    def take(self) -> Reply | Failure | None:
        return self._steps.popleft() if self._steps else None

    @property
    def chooses(self) -> bool:
        """Whether there are functions to ask, which need the whole request."""
        return bool(self._choosers)

    async def choose(self, request: RecordedRequest) -> Reply | Failure | None:
        """The answer of the first function that has one, else the next step."""
        for chooser in self._choosers:
            step = chooser(request)
            if inspect.isawaitable(step):
                step = await step
            if isinstance(step, Reply | Failure):
                return step
            if step is not None:
                msg = f"A script's function returns a Reply, a Failure or None, not {step!r}."
                raise TypeError(msg)
        return self.take()

    def clear(self) -> None:
        self._steps.clear()
        self._choosers.clear()


def _is_call(call: object) -> bool:
    """`{"name": ...}`, or the API's form, with a `function` or `custom` that has a name."""
    if not isinstance(call, Mapping):
        return False
    inner = call.get("function") or call.get("custom") or call
    return isinstance(inner, Mapping) and isinstance(inner.get("name"), str)


def _is_json(value: object) -> bool:
    try:
        strict_loads(dumps(value))
    except ValueError:
        return False
    return True


def _is_header(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, str)
        and not {"\r", "\n", "\0"} & set(name + value)
    )
