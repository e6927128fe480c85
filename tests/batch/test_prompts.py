"""Requests made of plain lines, and of columns of CSV and Parquet files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from openai_async import InvalidArgumentError
from openai_async.batch.input.lines import MAX_LINE
from openai_async.batch.input.prompts import prompts_of, requests_from_prompts
from openai_async.batch.requests import BatchRequest


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


def parquet(path: Path, **columns: list[Any]) -> Path:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table(columns), path)
    return path


def test_a_text_has_a_prompt_on_each_line(write: Any) -> None:
    path = write("in.txt", "\ufeffone\r\n\n  two \n")
    assert list(prompts_of(path)) == [(1, "one"), (3, "  two ")]


def test_a_csv_has_one_in_each_row(write: Any) -> None:
    path = write("in.csv", '\ufeffid,prompt\r\n1,"say ""é"",\nplease"\r\n\r\n2,b\r\n')
    assert list(prompts_of(path, column="prompt")) == [(1, 'say "é",\nplease'), (2, "b")]


def test_a_parquet_file_has_one_in_each_row(tmp_path: Path) -> None:
    path = parquet(tmp_path / "in.parquet", id=[1, 2], prompt=["a", "é"])
    assert list(prompts_of(path, column="prompt")) == [(1, "a"), (2, "é")]


def test_a_single_column_needs_no_name(write: Any, tmp_path: Path) -> None:
    assert list(prompts_of(write("in.CSV", "text\na\n"))) == [(1, "a")]
    assert list(prompts_of(parquet(tmp_path / "in.parquet", text=["a"]))) == [(1, "a")]


@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"], ids=ascii)
@pytest.mark.parametrize("quote", ["", '"'], ids=["bare", "quoted"])
def test_the_delimiter_is_detected_from_the_header(
    write: Any, name: str, separator: str, quote: str
) -> None:
    rows = [["id", "prompt"], ["1", "Hi"]]
    lines = [separator.join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    assert list(prompts_of(write(name, "\n".join(lines)), column="prompt")) == [(1, "Hi")]


def test_the_delimiter_of_the_suffix_is_tried_first(write: Any) -> None:
    assert list(prompts_of(write("in.csv", "a;b,c\n1;2,x\n"), column="a;b")) == [(1, "1;2")]
    assert list(prompts_of(write("in.tsv", "a,b\tc\n1,2\tx\n"), column="a,b")) == [(1, "1,2")]


def test_semicolons_within_quotes_and_in_prompts_separate_nothing(write: Any) -> None:
    path = write("in.csv", '"prompt; or question"\n"Hi; you"\nHo; you\n')
    assert list(prompts_of(path)) == [(1, "Hi; you"), (2, "Ho; you")]


def test_a_table_with_semicolons_still_needs_its_column_named(write: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="with the prompts, of 'id', 'prompt'"):
        prompts_of(write("in.csv", "id;prompt\n1;Hi\n"))


def test_blank_lines_before_the_header_are_skipped(write: Any) -> None:
    assert list(prompts_of(write("in.csv", "\n\nid,prompt\n\n1,a\n"), column="prompt")) == [
        (1, "a")
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("in.txt", "", "has no prompts: write one on each line."),
        ("in.txt", "\ufeff\r\n\n  \n", "has no prompts: write one on each line."),
        (
            "in.csv",
            "",
            "is empty: write the names of the columns first, then a prompt in each row.",
        ),
        ("in.tsv", "\n\n", "is empty: write the names of the columns first"),
        ("in.csv", "prompt\n\n", "has no rows: write a prompt in each row below the header."),
    ],
)
def test_a_file_without_prompts_is_an_error_of_one_sentence(
    write: Any, name: str, text: str, said: str
) -> None:
    path = write(name, text)
    with pytest.raises(InvalidArgumentError) as caught:
        list(prompts_of(path))
    assert str(caught.value).startswith(f"{path} {said}")


def test_a_table_without_rows_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="has no rows: write a prompt in each row"):
        list(prompts_of(parquet(tmp_path / "in.parquet", prompt=[])))


def test_a_prompt_may_be_longer_than_the_csv_module_has_it(write: Any) -> None:
    ((_, prompt),) = prompts_of(write("in.csv", "prompt\n" + "x" * 1_000_000))
    assert len(prompt) == 1_000_000


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("propmt", "has no column 'propmt': its columns are 'id', 'prompt'."),
        (None, "has several columns: name the one with the prompts, of 'id', 'prompt'."),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_wrong_column_is_named_at_once_with_those_there_are(
    write: Any, tmp_path: Path, kind: str, column: str | None, message: str
) -> None:
    path = write("in.csv", "id,prompt\n1,a\n")
    if kind == "parquet":
        path = parquet(tmp_path / "in.parquet", id=[1], prompt=["a"])
    with pytest.raises(InvalidArgumentError) as caught:
        prompts_of(path, column=column)
    assert str(caught.value) == f"{path} {message}"


def test_a_text_has_no_columns(write: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="has no columns, and so no 'prompt'"):
        prompts_of(write("in.txt", "a"), column="prompt")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("in.csv", "id,prompt\n1,a\n2\n", "row 2 has no 'prompt': fill it in, or remove the row"),
        ("in.csv", "id,prompt\n1,\n", "row 1 has no 'prompt'"),
        ("in.csv", 'id,prompt\n1,"a', "line 2 is not valid CSV: unexpected end of data"),
    ],
)
def test_a_row_without_a_prompt_is_named(write: Any, name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        list(prompts_of(write(name, text), column="prompt"))


def test_a_null_is_not_a_prompt(tmp_path: Path) -> None:
    path = parquet(tmp_path / "in.parquet", prompt=["a", None])
    with pytest.raises(InvalidArgumentError, match="row 2 has no 'prompt'"):
        list(prompts_of(path))


def test_a_number_is_not_a_prompt(tmp_path: Path) -> None:
    path = parquet(tmp_path / "in.parquet", n=[1])
    with pytest.raises(
        InvalidArgumentError, match="row 1: 'n' is of type int: name a column of text"
    ):
        list(prompts_of(path))


@pytest.mark.parametrize("name", ["in.txt", "in.csv"])
def test_text_that_is_not_utf_8_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"prompt\ncaf\xe9\n")
    with pytest.raises(InvalidArgumentError, match="is not UTF-8: save the file as UTF-8"):
        list(prompts_of(path))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("prompt\nHello, you\n", 1),
        ("id,prompt\n1,Hi\n2,Hello, you\n", 2),
        ("id;prompt\n1;Hello; you\n", 1),
    ],
)
def test_a_row_with_more_cells_than_the_header_is_not_cut(write: Any, text: str, row: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"row {row} has more columns than the header"):
        list(prompts_of(write("in.csv", text), column="prompt"))


def test_empty_cells_beyond_the_header_are_nothing(write: Any) -> None:
    assert [*prompts_of(write("in.csv", "prompt\nHi,,\n"))] == [(1, "Hi")]


def test_a_line_that_is_too_long_is_named(write: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="line 2: the line is longer than 32 MiB"):
        list(prompts_of(write("in.txt", "a\n" + "x" * (MAX_LINE + 1))))


@pytest.mark.parametrize("name", ["in.txt", "in.csv", "in.parquet"])
def test_a_missing_file_is_a_bad_argument(tmp_path: Path, name: str) -> None:
    if name == "in.parquet":
        pytest.importorskip("pyarrow")
    with pytest.raises(InvalidArgumentError, match="cannot be read: "):
        list(prompts_of(tmp_path / name))


def test_a_file_that_is_not_parquet_is_a_bad_argument(write: Any) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(InvalidArgumentError, match="is not a complete Parquet file: "):
        prompts_of(write("in.parquet", "notes"))


def test_without_pyarrow_a_parquet_file_cannot_be_read(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InvalidArgumentError, match="Parquet files need pyarrow: pip install"):
        prompts_of(write("in.parquet", ""))


def test_requests_are_lines_of_a_batch(write: Any) -> None:
    path = write("in.txt", "a\n\nb\n")
    first, second = requests_from_prompts(path, model="m", system="s", params={"seed": 1})
    assert first == {
        "custom_id": "prompt-1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "m",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}],
            "seed": 1,
        },
    }
    assert BatchRequest.of(second).custom_id == "prompt-3"


def test_ids_may_come_from_a_column(write: Any, tmp_path: Path) -> None:
    csv = write("in.csv", "id,prompt\n7,a\n")
    table = parquet(tmp_path / "in.parquet", id=[7], prompt=["a"])
    for path in (csv, table):
        (line,) = requests_from_prompts(path, model="m", column="prompt", id_column="id")
        assert line["custom_id"] == "7"
        assert line["body"] == {"model": "m", "messages": [{"role": "user", "content": "a"}]}


def test_the_same_column_may_be_prompt_and_id(tmp_path: Path, write: Any) -> None:
    for path in (write("in.csv", "p\na\n"), parquet(tmp_path / "in.parquet", p=["a"])):
        (line,) = requests_from_prompts(path, model="m", id_column="p")
        assert (line["custom_id"], line["body"]["messages"][0]["content"]) == ("a", "a")


@pytest.mark.parametrize("name", ["model", "messages", "stream"])
def test_parameters_that_are_set_here_are_refused(write: Any, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"params has '{name}'"):
        requests_from_prompts(write("in.txt", "a"), model="m", params={name: None})


def test_a_file_of_requests_is_not_read_as_prompts(write: Any) -> None:
    path = write("in.jsonl", '{"custom_id": "a", "url": "/v1/embeddings", "body": {}}\n')
    with pytest.raises(InvalidArgumentError, match="line 1 is a request, not a prompt"):
        list(prompts_of(path))


def test_other_json_may_be_a_prompt(write: Any) -> None:
    path = write("in.txt", '{"question": "What is this?"}\n')
    assert list(prompts_of(path)) == [(1, '{"question": "What is this?"}')]
