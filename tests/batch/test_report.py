"""The tally of a run, and the report made from it."""

from __future__ import annotations

import copy
import math
import pickle
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async import OpenAIError
from openai_async.batch.latencies import Latencies
from openai_async.batch.report import BatchReport, BatchStoppedError, Tally
from openai_async.batch.results import BatchError, BatchResponse, BatchResult

KEYS = [
    *("total", "completed", "failed", "skipped", "resumed", "failed_before", "refused"),
    *("tokens", "attempts", "rejections", "wall_time", "requests_per_second"),
    *("latency", "errors", "examples", "stopped"),
]


def good(**fields: Any) -> BatchResult:
    return BatchResult(custom_id="x", id="1", **fields)


def bad(code: str, **fields: Any) -> BatchResult:
    return good(error=BatchError(code=code, message="No."), **fields)


def tally_of(*results: BatchResult) -> Tally:
    tally = Tally()
    for result in results:
        tally.add(result)
    return tally


# --- the tally -----------------------------------------------------------------------------------


def test_results_are_added_up() -> None:
    tally = tally_of(
        good(tokens=10, attempts=1),
        good(tokens=5, attempts=3, rejections=2),
        bad("rate_limit_exceeded", attempts=6, rejections=6),
        bad("APITimeoutError", attempts=2),
        bad("rate_limit_exceeded", attempts=1, rejections=1),
    )
    assert (tally.completed, tally.failed, tally.tokens) == (2, 3, 15)
    assert (tally.attempts, tally.rejections) == (13, 9)
    assert tally.by_error == {"rate_limit_exceeded": 2, "APITimeoutError": 1}


def test_a_report_stays_as_it_is_when_more_results_come() -> None:
    tally = tally_of(bad("odd"))
    report = tally.report(total=2, wall_time=1.0)
    tally.add(bad("new"))
    assert (report.errors, report.examples) == ({"odd": 1}, {"odd": "No."})


def test_latencies_are_those_of_good_answers() -> None:
    tally = tally_of(good(elapsed=1.0), bad("APITimeoutError", elapsed=600.0))
    assert tally.percentile(100) == 1.0


def test_codes_that_are_all_different_are_bounded() -> None:
    tally = tally_of(*(bad(f"no-{number}") for number in range(1000)))
    assert len(tally.by_error) == 101
    assert tally.by_error["(other)"] == 900


def test_a_code_is_fit_for_a_terminal() -> None:
    tally = tally_of(bad("\x1b[31mred\n"), bad("x" * 10_000), bad("\n"))
    assert [*tally.by_error] == ["[31mred", "x" * 60, "(none)"]


# --- percentiles ---------------------------------------------------------------------------------


@given(
    st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=1, max_size=200),
    st.floats(min_value=0.1, max_value=100),
)
def test_a_percentile_is_exact_to_two_percent_and_never_too_low(
    seconds: list[float], percent: float
) -> None:
    latencies = Latencies()
    for each in seconds:
        latencies.add(each)
    exact = sorted(seconds)[math.ceil(len(seconds) * percent / 100) - 1]
    assert exact * (1 - 1e-9) <= latencies.percentile(percent) <= exact * (1.02 + 1e-9)
    assert latencies.percentile(percent) <= max(seconds)


def test_the_hundredth_percentile_is_the_longest() -> None:
    latencies = Latencies()
    for each in (0.1, 0.123456, 0.0):
        latencies.add(each)
    assert latencies.percentile(100) == latencies.longest == 0.123456


def test_no_latencies_no_percentile() -> None:
    assert Latencies().percentile(50) == 0.0


@pytest.mark.parametrize("seconds", [0.0, 1e-12, 1e12])
def test_what_is_outside_the_buckets_still_counts(seconds: float) -> None:
    latencies = Latencies()
    latencies.add(seconds)
    assert latencies.count == 1
    assert latencies.percentile(50) <= latencies.longest == seconds


def test_latencies_take_the_same_memory_however_many_there_are() -> None:
    latencies, dice = Latencies(), random.Random(1)
    for _ in range(50_000):
        latencies.add(10 ** dice.uniform(-9, 9))
    assert len(latencies._buckets) <= 1400


# --- the report ----------------------------------------------------------------------------------


def test_a_report_always_has_the_same_keys() -> None:
    empty = BatchReport(total=0).to_dict()
    full = tally_of(good(elapsed=1.0), bad("x")).report(total=2, wall_time=1.0, stopped="why")
    assert [*empty] == [*full.to_dict()] == KEYS
    assert [*empty["latency"]] == [*full.latency] == ["p50", "p90", "p95", "p99", "max"]
    assert msgspec.json.decode(full.to_json()) == full.to_dict()


def test_a_report_is_made_of_a_tally() -> None:
    tally = tally_of(good(elapsed=0.5, tokens=7), bad("a"), bad("b"), bad("b", rejections=1))
    report = tally.report(total=10, wall_time=2.0, skipped=1, resumed=3)
    assert report.to_dict() == {
        "total": 10,
        "completed": 1,
        "failed": 3,
        "skipped": 1,
        "resumed": 3,
        "failed_before": 0,
        "refused": 0,
        "tokens": 7,
        "attempts": 4,
        "rejections": 1,
        "wall_time": 2.0,
        "requests_per_second": 2.0,
        "latency": dict.fromkeys(["p50", "p90", "p95", "p99", "max"], 0.5),
        "errors": {"b": 2, "a": 1},
        "examples": {"a": "No.", "b": "No."},
        "stopped": None,
    }


@pytest.mark.parametrize(
    ("status", "refused"),
    [(400, 1), (403, 1), (404, 1), (422, 1), (408, 0), (409, 0), (429, 0), (503, 0), (200, 0)],
)
def test_refused_requests_are_counted(status: int, refused: int) -> None:
    response = BatchResponse(status_code=status, request_id=None, body=None)
    tally = tally_of(bad("x", response=response), bad("x"), good(response=response))
    report = tally.report(total=3, wall_time=1.0, failed_before=5, refused_before=4)
    assert report.refused == refused + 4


def test_errors_are_sorted_by_how_many_there_are() -> None:
    tally = tally_of(*[bad("few")] * 2, *[bad("many")] * 5, *[bad("also few")] * 2)
    assert [*tally.report(total=9, wall_time=1.0).errors] == ["many", "also few", "few"]


def test_a_run_that_took_no_time_has_no_rate() -> None:
    assert tally_of(good()).report(total=1, wall_time=0.0).requests_per_second == 0.0


def test_a_report_reads_well() -> None:
    report = BatchReport(
        total=21_000,
        completed=19_980,
        failed=20,
        skipped=3,
        resumed=900,
        tokens=1_660_000,
        attempts=20_667,
        rejections=667,
        wall_time=125.3,
        requests_per_second=159.6,
        latency={"p50": 0.905, "p90": 2.4866, "p95": 3.2, "p99": 4.8754, "max": 1234.5},
        errors={"rate_limit_exceeded": 14, "APITimeoutError": 6},
        stopped="the server refuses the API key. Set another one, and run the same again.",
    )
    assert str(report).splitlines() == [
        "requests        21,000",
        "completed       19,980",
        "failed              20",
        "not done           100",
        "done before        900",
        "bad lines            3  skipped",
        "attempts        20,667  667 refused with 429 (3.2%)",
        "tokens       1,660,000  13,248 a second",
        "time         2 min 05 s, 160 requests a second",
        "latency      p50 905 ms, p90 2.49 s, p95 3.2 s, p99 4.88 s, max 1,234 s",
        "",
        "errors",
        "  rate_limit_exceeded  14",
        "  APITimeoutError       6",
        "",
        "stopped: the server refuses the API key. Set another one, and run the same again.",
    ]


def test_what_is_empty_is_left_out() -> None:
    report = tally_of(good(elapsed=0.25), good(elapsed=0.25)).report(total=2, wall_time=0.5)
    assert str(report).splitlines() == [
        "requests   2",
        "completed  2",
        "attempts   2",
        "time       500 ms, 4.0 requests a second",
        "latency    p50 250 ms, p90 250 ms, p95 250 ms, p99 250 ms, max 250 ms",
    ]


def test_a_run_that_had_nothing_to_do() -> None:
    assert str(BatchReport(total=5, resumed=5, wall_time=0.01)).splitlines() == [
        "requests     5",
        "completed    0",
        "done before  5",
        "time         10 ms",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0123, "12.3 ms"),
        (0.9996, "1 s"),
        (59.4, "59.4 s"),
        (60.0, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (3725.0, "1 h 02 min"),
        (360_000.0, "100 h 00 min"),
    ],
)
def test_times_are_written_as_people_say_them(seconds: float, text: str) -> None:
    (line,) = (x for x in str(BatchReport(total=1, wall_time=seconds)).splitlines() if "time" in x)
    assert line.removeprefix("time").strip() == text


# --- a run that was stopped ----------------------------------------------------------------------


def test_the_error_of_a_stopped_run_says_why_and_has_the_report() -> None:
    report = BatchReport(total=3, stopped="why")
    error = BatchStoppedError("The server is gone: run the same command again.", report)
    assert isinstance(error, OpenAIError)
    assert str(error) == "The server is gone: run the same command again."
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(again), again.report) == (str(error), report)


def test_in_a_notebook_a_report_is_a_table() -> None:
    report = BatchReport(
        total=3, completed=1, failed=2, errors={"<b>": 2}, examples={"<b>": "a & b"}, stopped="full"
    )
    shown = report._repr_html_()
    assert shown.count("<table>") == 2
    for text in ("completed", "full", "&lt;b&gt;", "a &amp; b"):
        assert f">{text}</td>" in shown
    assert BatchReport(total=0)._repr_html_().count("<table>") == 1
