"""Statistics of a run: a `Tally` that counts results, and the `BatchReport` made from it.

Their size does not depend on the number of results. No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import asdict, define, field, frozen

from ..errors import OpenAIError
from .latencies import Latencies
from .results import BatchResult

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "max": 100.0}

# Codes come from the server, which may put an id into each: the rest is counted as one.
MAX_CODES = 100
MAX_CODE = 60
MAX_EXAMPLE = 160
OTHER_CODES = "(other)"


@define
class Tally:
    """Counts results as they come.

    Attributes:
        completed, failed: results without and with an error.
        refused: how many of `failed` would fail again, because the server refused them (4xx).
        tokens: `usage.total_tokens` of all answers.
        attempts: how many times requests were sent, retries included.
        rejections: how many of the attempts were answered with 429.
        examples: the first message for each code.
        by_error: how many failed with each code; at most 100 codes, the others as "(other)".
        latencies: of the good answers, in seconds, including waits for retries and the rate limit.
    """

    completed: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)
    tokens: int = field(default=0, init=False)
    attempts: int = field(default=0, init=False)
    rejections: int = field(default=0, init=False)
    by_error: dict[str, int] = field(factory=dict, init=False)
    examples: dict[str, str] = field(factory=dict, init=False)
    latencies: Latencies = field(factory=Latencies, init=False)

    def add(self, result: BatchResult) -> None:
        """Count one more result."""
        self.tokens += result.tokens
        self.attempts += result.attempts
        self.rejections += result.rejections
        if result.error is None:
            self.completed += 1
            self.latencies.add(result.elapsed)
            return
        self.failed += 1
        self.refused += result.refused
        code = _visible(result.error.code)
        if code not in self.by_error and len(self.by_error) >= MAX_CODES:
            code = OTHER_CODES
        self.by_error[code] = self.by_error.get(code, 0) + 1
        self.examples.setdefault(code, _visible(result.error.message, MAX_EXAMPLE))

    def percentile(self, percent: float) -> float:
        """Seconds within which this percentage of the good answers came; 0.0 if there are none."""
        return self.latencies.percentile(percent)

    def report(
        self,
        *,
        total: int,
        wall_time: float,
        skipped: int = 0,
        resumed: int = 0,
        failed_before: int = 0,
        refused_before: int = 0,
        stopped: str | None = None,
    ) -> BatchReport:
        """The report of a run with these results; see `BatchReport` for the arguments.

        `refused_before` is how many of `failed_before` would fail again.
        """
        return BatchReport(
            total=total,
            completed=self.completed,
            failed=self.failed,
            skipped=skipped,
            resumed=resumed,
            failed_before=failed_before,
            refused=self.refused + refused_before,
            tokens=self.tokens,
            attempts=self.attempts,
            rejections=self.rejections,
            wall_time=wall_time,
            requests_per_second=(self.completed + self.failed) / wall_time if wall_time else 0.0,
            latency={name: self.percentile(p) for name, p in PERCENTILES.items()},
            errors=dict(sorted(self.by_error.items(), key=lambda item: (-item[1], item[0]))),
            examples=dict(self.examples),
            stopped=stopped,
        )


@frozen(kw_only=True)
class BatchReport:
    """The outcome of a batch. `str(report)` is for people, `to_dict()` for programs.

    Attributes:
        total: requests in the input, not counting bad lines.
        completed, failed: results of this run without and with an error.
        skipped: lines of the input that are not valid requests.
        resumed: requests whose result was already in the output.
        failed_before: errors that were already in the output.
        refused: how many of all errors would recur, because the server refused the request (400,
            404 and the like). Fix the cause before you send them again.
        tokens: `usage.total_tokens` of all answers of this run.
        attempts: how many times requests were sent, retries included.
        rejections: how many of the attempts were answered with 429.
        wall_time: duration of this run in seconds.
        requests_per_second: results of this run divided by `wall_time`.
        latency: "p50", "p90", "p95", "p99" and "max" of the good answers, in seconds, including
            waits for retries and the rate limit; 0.0 if there was no good answer.
        errors: how many failed with each code, the most frequent first.
        examples: the first message for each code.
        stopped: why the run ended early; `None` if all was done.
    """

    total: int
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    resumed: int = 0
    failed_before: int = 0
    refused: int = 0
    tokens: int = 0
    attempts: int = 0
    rejections: int = 0
    wall_time: float = 0.0
    requests_per_second: float = 0.0
    latency: Mapping[str, float] = field(factory=lambda: dict.fromkeys(PERCENTILES, 0.0))
    errors: Mapping[str, int] = field(factory=dict)
    examples: Mapping[str, str] = field(factory=dict)
    stopped: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """All attributes as JSON values, always the same keys in the same order."""
        return asdict(self)

    def to_json(self) -> str:
        """The same as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self.to_dict())).decode()

    def __str__(self) -> str:
        lines = _aligned(_rows(self))
        if self.errors:
            width = len(_grouped(max(self.errors.values())))
            errors = [
                (code, f"{_grouped(n):>{width}}  {self.examples.get(code, '')}".rstrip())
                for code, n in self.errors.items()
            ]
            lines += ["", "errors", *(f"  {line}" for line in _aligned(errors))]
        if self.stopped is not None:
            lines += ["", f"stopped: {self.stopped}"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """How notebooks display it."""
        from ..types.notebooks import html_table

        errors = [(code, n, self.examples.get(code, "")) for code, n in self.errors.items()]
        stopped = [("stopped", self.stopped)] if self.stopped is not None else []
        tables = html_table([*_rows(self), *stopped])
        return tables + (
            html_table(errors, head=("error", "how many", "example")) if errors else ""
        )


class BatchStoppedError(OpenAIError):
    """A batch ended before all was done. The message says why, and how to resume.

    Attributes:
        report: of what was done until then.
    """

    def __init__(self, message: str, report: BatchReport) -> None:
        super().__init__(message, report)  # pickle calls `__init__` with both
        self.report = report

    def __str__(self) -> str:
        return str(self.args[0])


def _rows(report: BatchReport) -> list[tuple[str, str]]:
    """Name and text of each line."""
    rows = [row for row in _counts(report) if row[1]]
    width = max(len(number) for _, number, _ in rows)
    texts = [(name, f"{number:>{width}}  {note}") for name, number, note in rows]
    texts.append(("time", _time(report)))
    if any(report.latency.values()):
        times = (f"{name} {_seconds(value)}" for name, value in report.latency.items())
        texts.append(("latency", ", ".join(times)))
    return texts


def _counts(report: BatchReport) -> list[tuple[str, str, str]]:
    """Name, number ("" is left out) and note of each line."""
    open_ = report.total - report.completed - report.failed - report.resumed
    rejected = ""
    if report.rejections:
        share = report.rejections / max(report.attempts, report.rejections)
        rejected = f"{_grouped(report.rejections)} refused with 429 ({share:.1%})"
    before = f"{_grouped(report.failed_before)} of them failed" if report.failed_before else ""
    per_second = report.tokens / report.wall_time if report.wall_time else 0.0
    tokens = f"{_rate(per_second)} a second" if per_second else ""
    return [
        ("requests", _grouped(report.total), ""),
        ("completed", _grouped(report.completed), ""),
        ("failed", _some(report.failed), ""),
        ("not done", _some(open_), ""),
        ("done before", _some(report.resumed), before),
        ("bad lines", _some(report.skipped), "skipped"),
        ("attempts", _some(report.attempts), rejected),
        ("tokens", _some(report.tokens), tokens),
    ]


def _time(report: BatchReport) -> str:
    rate = report.requests_per_second
    return duration(report.wall_time) + (f", {_rate(rate)} requests a second" if rate else "")


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {text}".rstrip() for name, text in rows]


def duration(seconds: float) -> str:
    """Seconds as people say them: "0.35 s", "2 min 05 s", "3 h 02 min"."""
    if seconds < 60:
        return _seconds(seconds)
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{_grouped(hours)} h {minutes:02} min"


def _seconds(seconds: float) -> str:
    """Three digits, as latencies are only exact to 2 %."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 999.5 else f"{seconds:,.0f} s"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 99.95 else f"{per_second:.1f}"


def _grouped(number: int) -> str:
    return f"{number:,}"


def _some(number: int) -> str:
    return _grouped(number) if number > 0 else ""


def _visible(text: str, most: int = MAX_CODE) -> str:
    """A code or a message without control characters, for a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in text[:most])
    return shown.strip() or "(none)"
