"""Reading a JSONL file: what is a line, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from openai_async import InvalidArgumentError
from openai_async.batch.input.lines import MAX_LINE, Line, parse_json, read_lines
from openai_async.batch.requests import BatchRequest

from .limited_memory import lines_read_within

REQUEST = b'{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"input":"x"}}'


def read(path: Path, data: bytes) -> list[tuple[int, bytes, str | None]]:
    path.write_bytes(data)
    return [(line.number, line.data, line.problem) for line in read_lines(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


def test_lines_are_numbered_from_one(path: Path) -> None:
    assert read(path, b"a\nb\n") == [(1, b"a", None), (2, b"b", None)]


def test_the_last_line_needs_no_end(path: Path) -> None:
    assert read(path, b"a\nb") == [(1, b"a", None), (2, b"b", None)]


def test_blank_lines_are_left_out_and_counted(path: Path) -> None:
    assert read(path, b"\n \t\r\na\n\n\nb") == [(3, b"a", None), (6, b"b", None)]


def test_crlf_and_a_byte_order_mark_are_not_part_of_a_line(path: Path) -> None:
    assert read(path, b"\xef\xbb\xbfa\r\nb\r\n") == [(1, b"a", None), (2, b"b", None)]


def test_spaces_are_part_of_a_line_and_of_its_columns(path: Path) -> None:
    assert read(path, b"  {\r\n") == [(1, b"  {", None)]


def test_a_file_of_nothing_has_no_lines(path: Path) -> None:
    assert read(path, b"") == read(path, b"\xef\xbb\xbf\n") == []


def test_a_line_may_be_as_long_as_the_bound(path: Path) -> None:
    (first, last) = read(path, b"x" * MAX_LINE + b"\ny")
    assert (len(first[1]), first[2], last) == (MAX_LINE, None, (2, b"y", None))


@pytest.mark.parametrize("length", [MAX_LINE + 1, MAX_LINE + 3 * 1024 * 1024])
def test_a_line_over_the_bound_is_named_and_reading_continues_after_it(
    path: Path, length: int
) -> None:
    first, bad, last = read(path, b"a\n" + b"x" * length + b"\nb\n")
    assert (first, last) == ((1, b"a", None), (3, b"b", None))
    assert bad[:2] == (2, b"")
    assert bad[2] is not None
    assert bad[2].startswith("the line is longer than 32 MiB: ")


def test_a_longer_one_may_be_the_last(path: Path) -> None:
    assert [line[0] for line in read(path, b"x" * (MAX_LINE + 1))] == [1]


def test_a_line_larger_than_the_memory_is_not_held(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"x" * 4096)
        file.truncate(256 << 20)  # from there on a hole, which reads as NULs
        file.seek(0, 2)
        file.write(b"\nb\n")
    assert lines_read_within(192, path) == [(1, True), (2, False)]


def test_a_file_that_is_not_there_is_a_bad_argument(path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"in\.jsonl cannot be read: No such file"):
        list(read_lines(path))


def test_a_request_is_made_of_a_line() -> None:
    assert BatchRequest.of(parse_json(Line(number=1, data=REQUEST))).custom_id == "a"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a":1', "not valid JSON: input data was truncated."),
        (b"{} {}", "not valid JSON: trailing characters (byte 4)."),
        (b'{"a":NaN}', "not valid JSON: "),
        *(
            (text, "not valid JSON: \\ud83d is half a character (a lone surrogate): remove it.")
            for text in (
                b'{"a":"\\ud83d"}',
                b'{"a":"x \\ud83d y"}',
                b'{"\\ud83d\\ude00":"\\\\ud83e","a":["\\ud83d\\ud83d\\ude00"]}',
            )
        ),
        (b'{"a":"\\uDE00"}', "not valid JSON: \\uDE00 is half a character"),
        (b'{"a":"\\ud83d', "not valid JSON: "),
        (b'{"a":1e400}', "not valid JSON: number out of range"),
        (b'{"a":' + b"7" * 5000 + b"}", "not valid JSON: integer value out of range"),
        (b"[" * 100_000, "not valid JSON: "),
        (b'{"a":"\xe9"}', "not UTF-8: byte 0xe9 at 6: save the file as UTF-8."),
        ('{"a":1}'.encode("utf-16"), "not UTF-8: byte 0xff at 0: save the file as UTF-8."),
    ],
)
def test_a_line_that_is_not_json_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_json(Line(number=1, data=data))
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"[]", "not a JSON object"),
        (REQUEST.replace(b'"a"', b"7"), "custom_id is 7"),
        (REQUEST.replace(b'"custom_id":"a",', b""), "custom_id is missing"),
        (REQUEST.replace(b"embeddings", b"embedings"), "write one like '/v1/embeddings'"),
        (REQUEST.replace(b'"POST"', b'"GET"'), 'write "POST"'),
        (REQUEST.replace(b'{"input":"x"}', b"[]"), "body is not an object"),
    ],
)
def test_a_line_that_is_not_a_request_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        BatchRequest.of(parse_json(Line(number=1, data=data)))


def test_an_unreadable_line_is_not_a_request() -> None:
    with pytest.raises(InvalidArgumentError, match="too long"):
        parse_json(Line(number=1, data=b"", problem="too long"))
