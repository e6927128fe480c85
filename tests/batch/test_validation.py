"""The check of an input before anything is sent, and the second pass over it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from openai_async import InvalidArgumentError
from openai_async.batch.ids import IdSet
from openai_async.batch.input.lines import Line
from openai_async.batch.input.validation import (
    MAX_DEPTH,
    BadLine,
    check_input,
    describe,
    requests_of,
)
from openai_async.batch.requests import MAX_ID
from openai_async.wire.codec import dumps


def request(custom_id: Any, **changes: Any) -> str:
    line = {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/embeddings",
        "body": {"input": ""},
    }
    return json.dumps(line | changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


def bad_lines(path: Path, *lines: str) -> list[tuple[int, str | None, str]]:
    path.write_text("\n".join(lines))
    return [(bad.number, bad.custom_id, bad.problem) for bad in check_input(path).bad]


def test_good_lines_are_counted(path: Path) -> None:
    path.write_text(f"{request('a')}\n\n{request('b')}\n")
    check = check_input(path)
    assert (check.requests, check.bad, check.bad_count) == (2, [], 0)


def test_a_bad_line_is_reported_by_number_and_by_id_if_it_has_one(path: Path) -> None:
    first, second, third = bad_lines(
        path, request("a"), "{", request("b", url="/v1/no"), request(5)
    )
    assert first[:2] == (2, None)
    assert first[2].startswith("not valid JSON: ")
    assert second[:2] == (3, "b")
    assert second[2].startswith("url '/v1/no' is unknown")
    assert third[:2] == (4, None)


@pytest.mark.parametrize(("length", "usable"), [(MAX_ID, True), (MAX_ID + 1, False)])
def test_a_bad_line_keeps_an_id_of_any_length_that_is_allowed(
    path: Path, length: int, usable: bool
) -> None:
    custom_id = "x" * length
    [(_, found, problem)] = bad_lines(path, request(custom_id, url="/v1/no"))
    assert found == (custom_id if usable else None)
    assert problem.startswith("url" if usable else "custom_id")


def test_the_second_line_with_an_id_is_bad_and_has_no_id(path: Path) -> None:
    problem = "custom_id 'a' repeats that of an earlier line."
    assert bad_lines(path, request("a"), request("b"), request("a")) == [(3, None, problem)]


def test_an_id_belongs_to_the_first_line_that_has_it_even_if_that_is_bad(path: Path) -> None:
    first, second = bad_lines(path, request("a", url="/v1/no"), request("a"))
    assert first[:2] == (1, "a")
    assert second == (2, None, "custom_id 'a' repeats that of an earlier line.")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("method", "null", "method is null: write"),
        ("method", "[null]", "method is [null]: write"),
        ("custom_id", "[null, true]", "custom_id is [null, true]: pass a string"),
        ("url", '{"a": null}', 'url is {"a": null}: write one like'),
        ("url", "false", "url is false: write one like"),
        ("url", "[" * 400 + "]" * 400, "url is [[["),
    ],
)
def test_a_value_of_the_wrong_kind_is_shown_as_in_the_line(
    path: Path, field: str, value: str, said: str
) -> None:
    line = json.dumps({**json.loads(request("a")), field: "HERE"}).replace('"HERE"', value)
    [(_, _, problem)] = bad_lines(path, line)
    assert problem.startswith(said)
    assert len(problem) < 200


def test_a_bad_line_with_the_id_of_an_earlier_one_has_no_id(path: Path) -> None:
    ((number, custom_id, problem),) = bad_lines(path, request("a"), request("a", url="/v1/no"))
    assert (number, custom_id) == (2, None)
    assert problem.startswith("url ")


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_a_body_too_deep_to_be_sent_is_bad(path: Path) -> None:
    deep = [
        request(f"{levels}", body={"input": "HERE"}).replace('"HERE"', "[" * levels + "]" * levels)
        for levels in (100, 300, 900)
    ]
    ((number, custom_id, problem),) = bad_lines(path, *deep)
    assert (number, custom_id) == (3, "900")
    assert problem.startswith("body is nested too deep")


@pytest.mark.parametrize("levels", range(390, 410))
def test_a_request_that_passes_the_check_can_be_sent(path: Path, levels: int) -> None:
    body = {"input": nested(levels)}
    path.write_text(request("a", body=body))
    passes = check_input(path).requests == 1
    assert passes == (levels < MAX_DEPTH)
    if passes:
        assert json.loads(dumps(body)) == body


def test_many_lists_beside_each_other_are_not_deep(path: Path) -> None:
    path.write_text(request("a", body={"input": [[1, 2]] * 1000}))
    assert check_input(path).bad == []


def test_a_thousand_bad_lines_are_kept_and_all_are_counted(path: Path) -> None:
    path.write_text("bad\n" * 1234)
    check = check_input(path)
    assert (len(check.bad), check.bad_count, check.requests) == (1000, 1234, 0)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_input_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(InvalidArgumentError, match="is empty: write one request on each line"):
        check_input(path)


def test_a_missing_input_is_refused(path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be read: No such file"):
        check_input(path)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be read: Is a directory"):
        check_input(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 5000, "cannot be read: File name too long"),
        ("a\0b", "is not a valid path: it contains a NUL"),
    ],
    ids=["too long", "NUL"],
)
def test_an_argument_that_is_not_a_path_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        check_input(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_since_it_can_be_read_only_once(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(InvalidArgumentError, match="is a pipe, which cannot be read twice"):
        check_input(path)


def test_equal_mistakes_are_reported_once_and_counted(path: Path) -> None:
    path.write_text(request("a") + "\n" + "{\n" * 1012 + f"{request(5)}\n{request('b', url='/x')}")
    assert describe(check_input(path), path).splitlines() == [
        f"{path} has 1,014 bad lines, and 1 good:",
        "  line 2: not valid JSON: input data was truncated. "
        "(1,011 more like it: lines 3, 4, 5, 6, 7, ...)",
        "  line 1014: custom_id is 5: pass a string of 1 to 512 characters.",
        "  line 1015: url '/x' is unknown: write one like '/v1/chat/completions'.",
        "Fix them, or pass skip_bad_lines to leave them out.",
    ]


@pytest.mark.parametrize(
    ("bad", "more"),
    [
        (["{", "{"], "(1 more like it: line 3)"),
        (["{", '{"a"', '{"a": 1'], "(2 more like it: lines 3, 4)"),
        ([request("b", url="/v1/x"), request("c", url="/v1/yz")], "(1 more like it: line 3)"),
        ([request("a"), request("b"), request("b")], "(1 more like it: line 4)"),
        ([request(5), request(66)], "(1 more like it: line 3)"),
    ],
    ids=["the same", "another column", "another url", "another id", "another number"],
)
def test_mistakes_are_equal_whatever_their_details(path: Path, bad: list[str], more: str) -> None:
    path.write_text("\n".join([request("a"), *bad]))
    (told,) = describe(check_input(path), path).splitlines()[1:-1]
    assert told.startswith("  line ")
    assert told.endswith(more)


def test_the_message_names_ten_mistakes_and_counts_the_rest(path: Path) -> None:
    bad = [request("a")] + [f'{{"custom_id": {"[" * n}{"]" * n}}}' for n in range(1, 16)]
    path.write_text("\n".join(bad))
    lines = describe(check_input(path), path).splitlines()
    assert [line.split(":")[0] for line in lines[1:11]] == [f"  line {n}" for n in range(2, 12)]
    assert lines[11:] == [
        "  and 5 more.",
        "Fix them, or pass skip_bad_lines to leave them out.",
    ]


def test_the_second_pass_yields_pending_requests_in_order(path: Path) -> None:
    path.write_text("\n".join(map(request, "abcd")))
    done = IdSet()
    done.add("b")
    left = requests_of(path, done, on_bad=None)
    assert [request.custom_id for request in left] == ["a", "c", "d"]
    assert len(done) == 1


def test_the_second_pass_reports_the_bad_lines_that_the_first_one_found(path: Path) -> None:
    path.write_text(f"{request('a')}\n{{\n{request('a')}\n{request('b', url='')}\n{request('c')}")
    told: list[BadLine] = []
    left = requests_of(path, IdSet(), on_bad=told.append)
    assert [request.custom_id for request in left] == ["a", "c"]
    assert told == check_input(path).bad


def test_a_double_of_a_line_that_is_done_is_still_bad(path: Path) -> None:
    path.write_text(f"{request('a')}\n{request('a')}")
    done = IdSet()
    done.add("a")
    told: list[BadLine] = []
    assert list(requests_of(path, done, on_bad=told.append)) == []
    assert [bad.number for bad in told] == [2]


def test_lines_may_come_from_elsewhere(path: Path) -> None:
    def read(path: Path) -> list[Line]:
        return [Line(number=7, data=request(path.name).encode()), Line(number=9, data=b"{")]

    told: list[BadLine] = []
    left = requests_of(path, IdSet(), on_bad=told.append, read=read)
    assert [request.custom_id for request in left] == ["in.jsonl"]
    assert told == check_input(path, read=read).bad
    assert [bad.number for bad in told] == [9]


def test_an_input_that_has_gone_bad_since_the_check_is_an_error(path: Path) -> None:
    path.write_text(f"{request('a')}\n{{")
    with pytest.raises(InvalidArgumentError, match=r"in\.jsonl, line 2: not valid JSON"):
        list(requests_of(path, IdSet(), on_bad=None))
