"""Inputs other than lines of text: gzip is read, everything else is identified once."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from openai_async import AsyncClient, InvalidArgumentError
from openai_async.batch import run_batch
from openai_async.batch.input.lines import read_lines
from openai_async.batch.input.prompts import prompts_of
from openai_async.batch.input.validation import check_input
from openai_async.testing import LocalServer

from .limited_memory import lines_read_within


def requests(count: int) -> bytes:
    return b"".join(
        json.dumps(
            {
                "custom_id": f"r{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]},
            }
        ).encode()
        + b"\n"
        for number in range(count)
    )


def in_a_zip(data: bytes, name: str = "in.jsonl") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def in_a_tar(data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("in.jsonl")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


# --- gzip ---


async def test_a_gzip_compressed_input_is_sent_and_resumed(
    client: AsyncClient, server: LocalServer, path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    path.write_bytes(gzip.compress(requests(3)))
    assert (await run_batch(client, path, target)).completed == 3
    path.write_bytes(gzip.compress(requests(5)))
    report = await run_batch(client, path, target)
    assert (report.total, report.resumed, report.completed) == (5, 3, 2)
    assert len(server.requests) == 5


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.jsonl", "no-suffix"])
def test_gzip_is_detected_by_its_bytes_not_by_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfa\r\n\nb"))
    assert [(line.number, line.data) for line in read_lines(path)] == [(1, b"a"), (3, b"b")]


def test_concatenated_gzip_files_are_one_file(path: Path) -> None:
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert [line.data for line in read_lines(path)] == [b"a", b"b"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-9],
        lambda data: data[:-8] + b"\0" * 8,
        lambda data: data[:20] + b"\xff" * 20 + data[40:],
        lambda data: data + b"more",
        lambda data: data[:2],
    ],
    ids=["cut off", "another checksum", "broken inside", "something behind it", "only its mark"],
)
def test_damaged_gzip_is_one_sentence(path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path.write_bytes(spoil(gzip.compress(requests(50))))
    with pytest.raises(InvalidArgumentError, match="is gzip-compressed and damaged: ") as caught:
        check_input(path)
    assert "\n" not in str(caught.value)


def test_decompressed_gzip_is_never_held_in_full(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(400):
            file.write(b"x" * 2**20)
        file.write(b"\nb\n")
    assert lines_read_within(300, path) == [(1, True), (2, False)]


@pytest.mark.parametrize(
    ("name", "text", "column"),
    [
        ("p.txt.gz", "one\ntwo\n", None),
        ("p.csv.gz", "id,prompt\n1,one\n2,two\n", "prompt"),
        ("p.csv", "id,prompt\n1,one\n2,two\n", "prompt"),
        ("p.TSV.GZ", "id\tprompt\n1\tone\n2\ttwo\n", "prompt"),
    ],
)
def test_prompts_may_be_gzip_compressed_too(
    tmp_path: Path, name: str, text: str, column: str | None
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()))
    assert [prompt for _, prompt in prompts_of(path, column=column)] == ["one", "two"]


def test_a_tsv_has_a_prompt_in_each_row(tmp_path: Path) -> None:
    path = tmp_path / "p.tsv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([["id", "prompt"], [1, "one, and\ttwo"]])
    assert list(prompts_of(path, column="prompt")) == [(1, "one, and\ttwo")]


# --- not text ---


@pytest.mark.parametrize("inside", [False, True], ids=["as it is", "gzip-compressed"])
@pytest.mark.parametrize("read", [check_input, lambda path: list(prompts_of(path))])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bz2.compress(requests(9)), "is bzip2-compressed: unpack it first, or use gzip"),
        (lzma.compress(requests(9)), "is xz-compressed: unpack it first"),
        (b"\x28\xb5\x2f\xfd\x04\x00" + bytes(range(128, 256)), "is zstd-compressed: unpack it"),
        (b"\x04\x22\x4d\x18" + bytes(range(128, 256)), "is lz4-compressed: unpack it"),
        (in_a_zip(requests(9)), "is a zip archive: unpack it first"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(range(128, 256)), "is a 7z archive: unpack it first"),
        (in_a_tar(requests(9)), "is a tar archive: unpack it first"),
        (b"PAR1" + bytes(range(128, 256)), "is Parquet: name it .parquet"),
        (requests(9).decode().encode("utf-16"), "is UTF-16, from line 1 on: save the file as"),
        (requests(9).decode().encode("utf-16-le"), "is binary, not text: pass a text file"),
        (b"\x80\x04\x95\x10", "is binary, not text: pass a text file"),
        (bytes(range(253, -1, -1)), "is binary, not text: pass a text file"),
        (b"\x7fELF\x02\x01\x01" + bytes(99), "is binary, not text: pass a text file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a PNG picture: pass a text file"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "is a JPEG picture: pass a text file"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF: pass a text file"),
        (
            in_a_zip(b"", "[Content_Types].xml"),
            "is an Office file, such as Excel's: save it as CSV",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(9), "is an Office file, such as Excel's"),
        (
            in_a_zip(b"application/vnd.oasis.opendocument.spreadsheet", "mimetype"),
            "is an OpenDocument file: save it as CSV",
        ),
    ],
    ids=lambda value: value[3:9] if isinstance(value, str) else "",
)
def test_a_file_without_lines_of_text_is_identified_in_one_sentence(
    path: Path, data: bytes, said: str, read: Callable[[Path], object], inside: bool
) -> None:
    path.write_bytes(gzip.compress(data) if inside else data)
    with pytest.raises(InvalidArgumentError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["H\bHello\n", "\x1b[1mHello\n", "Grüße\x07\n", "é" * 2000], ids=ascii
)
def test_text_with_control_characters_is_still_text(path: Path, text: str) -> None:
    path.write_text(text)
    assert list(prompts_of(path)) == [(1, text.removesuffix("\n"))]


def test_gzip_within_gzip_is_named(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.compress(requests(9))))
    with pytest.raises(InvalidArgumentError, match="is gzip-compressed twice: unpack it once"):
        check_input(path)


async def test_bad_lines_that_are_skipped_do_not_make_lines_of_an_archive(
    client: AsyncClient, path: Path, tmp_path: Path
) -> None:
    path.write_bytes(bz2.compress(requests(9)))
    with pytest.raises(InvalidArgumentError, match="is bzip2-compressed"):
        await run_batch(client, path, tmp_path / "out.jsonl", skip_bad_lines=True)
    assert not (tmp_path / "out.jsonl").exists()


# --- text that is not JSON Lines ---


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "in.jsonl",
            "id,prompt\n1,a\n2,b\n",
            "is CSV, not JSON Lines (line 1 is 'id,prompt')",
        ),
        (
            "in.csv",
            "prompt\nHi, you\n",
            "is CSV, not JSON Lines (line 1 is 'prompt'): pass",
        ),
        ("in.jsonl", '"id","prompt"\n"1","a"\n', "is CSV, not JSON Lines"),
        ("in.jsonl", "id;prompt\n1;a\n", "is CSV, not JSON Lines"),
        ("in.jsonl", "Hi; you\n", "is plain text, not JSON Lines"),
        (
            "in.jsonl",
            "id\tprompt\n1\ta\n",
            "is TSV, not JSON Lines (line 1 is 'id\\tprompt')",
        ),
        ("in.tsv", "prompt\nHi, you\n", "is TSV, not JSON Lines"),
        (
            "in.jsonl",
            "\n\nHi, you\nWho, me?\n",
            "is plain text, not JSON Lines (line 3 is 'Hi, you')",
        ),
        ("in.jsonl", "Why?\n" * 1200, "is plain text, not JSON Lines (line 1 is 'Why?')"),
        ("in.jsonl", "x" * 999, f"is plain text, not JSON Lines (line 1 is '{'x' * 40}...')"),
        ("in.jsonl", '[{"a": 1},\n{"b": 2}]', "is a JSON array (line 1): write each request"),
        ("in.jsonl", "[1]\n[2]\n", "is a JSON array (line 1): write each request"),
        ("in.jsonl", '\n{\n "a": 1\n}\n', "has JSON that spans several lines (from line 2 on)"),
    ],
)
async def test_text_that_is_not_json_lines_is_named_in_one_sentence(
    client: AsyncClient, server: LocalServer, tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InvalidArgumentError) as caught:
        await run_batch(client, path, tmp_path / "out.jsonl")
    assert str(caught.value).startswith(f"{path} {said}")
    assert "\n" not in str(caught.value)
    if "not JSON Lines" in said:
        assert "`openai-async batch --from-prompts`" in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize(
    "text", ['{"broken": 1\n', "7\n", '"a string"\n', "\xe9\n", "null\n"], ids=ascii
)
def test_other_first_lines_prove_nothing_about_the_file(path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    check = check_input(path)
    assert (check.wrong_format, check.bad_count) == (None, 1)


def test_one_good_line_makes_it_json_lines(path: Path) -> None:
    path.write_bytes(b"id,prompt\n" + requests(1))
    check = check_input(path)
    assert (check.wrong_format, check.requests, check.bad_count) == (None, 1, 1)
