"""Rate limits on requests and tokens: which requests pass, and what the headers say.

No I/O and no clock: the time is an argument. Usage is counted in `meters`.
"""

import math
import re
from typing import Any

import attrs

from ..options import is_number
from .meters import GRACE, Bucket, Meter, Window, go_duration, milliseconds, whole_remaining
from .tokens import image_tokens

# More than any account has; beyond this, a float of seconds cannot tell two requests apart.
_MAX_LIMIT = 10**9
# A day is the longest period OpenAI counts over (requests per day).
_MAX_SECONDS = 86_400
# Once this many models are known, those without current usage are dropped.
_MIN_FORGET_ABOVE = 1000

_UNITS = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}

_PICTURE = re.compile(rb'"data:[^",]*;base64,[^"]*"')
# The size is unknown until the picture is decoded: a common one, until the usage is known.
_PICTURE_TOKENS = image_tokens(1024, 1024, "high")


@attrs.frozen(kw_only=True)
class ServerLimits:
    """How many requests and tokens a LocalServer takes for each model; beyond that it answers 429.

    Attributes:
        requests_per_minute: POST requests; None means no limit.
        tokens_per_minute: tokens of prompts and answers; None means no limit.
        burst: how much may come at once: as much as accrues in this many seconds, but at least 1
            request. OpenAI's own is 60. A request with more tokens than that passes when nothing
            is in use, and the next ones wait until it is paid off.
        window: seconds. If given, usage is counted in fixed windows of this length, and `burst`
            has no effect: the first request opens a window, and its end clears the usage.
        headers: whether answers have the x-ratelimit headers.
        retry_after: whether a 429 has `retry-after-ms` and `retry-after`.

    Raises `ValueError` for values that are not limits.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    burst: float = 1.0
    window: float | None = None
    headers: bool = True
    retry_after: bool = True

    def __attrs_post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute"):
            limit = getattr(self, name)
            if limit is not None and not (is_number(limit) and 1 <= limit <= _MAX_LIMIT):
                msg = f"{name} must be a number from 1 to {_MAX_LIMIT:,} or None, not {limit!r}."
                raise ValueError(msg)
        if self.requests_per_minute is None and self.tokens_per_minute is None:
            msg = "ServerLimits needs requests_per_minute or tokens_per_minute."
            raise ValueError(msg)
        for name, also in (("burst", ""), ("window", " or None")):
            seconds = getattr(self, name)
            if seconds is None and also:
                continue
            if not (is_number(seconds) and 0 < seconds <= _MAX_SECONDS):
                msg = f"{name} must be seconds, above 0 and up to a day{also}, not {seconds!r}."
                raise ValueError(msg)
        for name in ("headers", "retry_after"):
            if not isinstance(getattr(self, name), bool):
                msg = f"{name} must be True or False, not {getattr(self, name)!r}."
                raise ValueError(msg)


@attrs.frozen(kw_only=True)
class Decision:
    """Whether one request passes: the headers of its answer, and why it is refused."""

    headers: dict[str, str]
    message: str | None = None
    """None for a request that passes; else what its 429 says, and `kind` is the limit it hit."""
    kind: str = ""
    _meter: Meter | None = None
    _tokens: int = 0
    _taken: float = 0.0

    def settle(self, tokens: int, now: float) -> None:
        """Replace the tokens estimated for this request with those really used."""
        if self._meter is not None:
            self._meter.correct(tokens - self._tokens, self._taken, now)


class Limiter:
    """The limits of a server, and what each model has used of them."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.rejections = 0
        self._models: dict[str | None, dict[str, Meter]] = {}
        self._forget_above = _MIN_FORGET_ABOVE

    def clear(self) -> None:
        """Clear all usage, and the count of rejections."""
        self.rejections = 0
        self._models = {}

    def admit(self, model: str | None, tokens: int, now: float) -> Decision:
        """Count a request with this many estimated tokens, unless it is refused."""
        meters = self._meters(model, now)
        amounts = {"requests": 1, "tokens": tokens}
        waits = {kind: meter.wait(amounts[kind], now) for kind, meter in meters.items()}
        kind = max(waits, key=waits.__getitem__)
        if waits[kind] > GRACE:
            self.rejections += 1
            return self._refuse(model, kind, amounts[kind], waits[kind], now)
        for name, meter in meters.items():
            meter.take(amounts[name], now)
        return Decision(
            headers=self._headers(meters, now),
            meter=meters.get("tokens"),  # pyright: ignore[reportCallIssue]
            tokens=tokens,  # pyright: ignore[reportCallIssue]
            taken=now,  # pyright: ignore[reportCallIssue]
        )

    def _refuse(
        self, model: str | None, kind: str, amount: int, wait: float, now: float
    ) -> Decision:
        meters = self._models[model]
        headers = self._headers(meters, now)
        meter = meters[kind]
        who = "requests without a model" if model is None else model
        if math.isinf(wait):  # waiting does not help, so there is no retry-after
            message = (
                f"Request too large for {who} on {_UNITS[kind]}: Limit {int(meter.largest)}, "
                f"Requested {amount}. The input or output tokens must be reduced in order to run "
                "successfully."
            )
            return Decision(headers=headers, message=message, kind=kind)
        wait_ms = milliseconds(wait)
        if self.limits.retry_after:
            headers["retry-after-ms"] = str(wait_ms)
            headers["retry-after"] = str(math.ceil(wait_ms / 1000))
        # As for OpenAI's bucket of a whole minute: what does not remain is used.
        limit = int(meter.per_minute)
        used = max(0, limit - whole_remaining(meter, now))
        message = (
            f"Rate limit reached for {who} on {_UNITS[kind]}: Limit {limit}, Used {used}, "
            f"Requested {amount}. Please try again in {go_duration(wait_ms)}."
        )
        return Decision(headers=headers, message=message, kind=kind)

    def _headers(self, meters: dict[str, Meter], now: float) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self.limits.headers:
            for kind, meter in meters.items():
                reset = go_duration(milliseconds(meter.reset(now)))
                headers[f"x-ratelimit-limit-{kind}"] = str(int(meter.per_minute))
                headers[f"x-ratelimit-remaining-{kind}"] = str(max(0, whole_remaining(meter, now)))
                headers[f"x-ratelimit-reset-{kind}"] = reset
        return headers

    def _meters(self, model: str | None, now: float) -> dict[str, Meter]:
        meters = self._models.get(model)
        if meters is None:
            if len(self._models) >= self._forget_above:
                self._models = {
                    name: used
                    for name, used in self._models.items()
                    if any(meter.reset(now) > 0 for meter in used.values())
                }
                # Twice what is in use, or each new model would scan all others.
                self._forget_above = max(_MIN_FORGET_ABOVE, 2 * len(self._models))
            meters = self._models[model] = self._new_meters()
        return meters

    def _new_meters(self) -> dict[str, Meter]:
        limits = self.limits
        both = {"requests": limits.requests_per_minute, "tokens": limits.tokens_per_minute}
        return {
            kind: Bucket(per_minute, limits.burst)
            if limits.window is None
            else Window(per_minute, limits.window)
            for kind, per_minute in both.items()
            if per_minute is not None
        }


def estimate_tokens(body: bytes, fields: Any) -> int:
    """The most a request may use: its text, its pictures, and the longest answer it allows.

    `fields` is the body's JSON, of any type.
    """
    text, pictures = len(body), 0
    if b";base64," in body:
        for picture in _PICTURE.finditer(body):
            text -= picture.end() - picture.start()
            pictures += 1
    allowed = 0
    if isinstance(fields, dict):
        for name in ("max_completion_tokens", "max_tokens"):
            limit = fields.get(name)
            if isinstance(limit, int) and limit is not True and limit > 0:
                allowed = limit
                break
    return text // 4 + 1 + pictures * _PICTURE_TOKENS + allowed
