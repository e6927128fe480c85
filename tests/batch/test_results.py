"""Results whose answer is kept as text: they behave like others; the text is written as it came."""

from __future__ import annotations

import copy
import json
import os
import pickle
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async import AsyncClient
from openai_async.batch import sending
from openai_async.batch.output.journal import FileJournal
from openai_async.batch.output.jsonl import line_of
from openai_async.batch.requests import BatchRequest
from openai_async.batch.results import BatchError, BatchResponse, BatchResult
from openai_async.batch.sending import send_request
from openai_async.testing import aioresponses

from ..conftest import BASE_URL
from .outputs import reopened

BODY = {"choices": [], "usage": {"total_tokens": 12}}


def of_text(text: bytes) -> BatchResponse:
    return BatchResponse.of_text(200, "req_1", text)


def plain(body: Any) -> BatchResponse:
    return BatchResponse(status_code=200, request_id="req_1", body=body)


def result(response: BatchResponse | None, **fields: Any) -> BatchResult:
    return BatchResult(custom_id="a", id="1", response=response, **fields)


# --- the response ---


def test_a_response_made_of_text_equals_one_made_of_its_body() -> None:
    text = json.dumps(BODY).encode()
    assert of_text(text) == plain(BODY)
    assert repr(of_text(text)) == repr(plain(BODY))
    assert attrs.asdict(of_text(text)) == attrs.asdict(plain(BODY))
    assert type(of_text(text).body) is dict
    assert of_text(text) != of_text(b"{}")


def test_the_body_is_parsed_once() -> None:
    response = of_text(b"{}")
    assert response.body is response.body


def test_other_attributes_do_not_exist_and_none_can_be_set() -> None:
    response: Any = of_text(b"{}")
    with pytest.raises(AttributeError, match="'BatchResponse' object has no attribute 'content'"):
        _ = response.content
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        response.body = {}


@pytest.mark.parametrize("response", [of_text(b'{"a": 1}'), plain({"a": 1})])
def test_a_response_can_be_copied_pickled_and_evolved(response: BatchResponse) -> None:
    for copied in (copy.copy(response), copy.deepcopy(response), _pickled(response)):
        assert (type(copied), copied, copied.text) == (BatchResponse, response, response.text)
    changed = attrs.evolve(response, body=None)
    assert (changed.text, changed.body, changed.status_code) == (None, None, 200)


def test_a_text_is_pickled_without_its_body() -> None:
    assert _pickled(of_text(b"not looked at")).text == b"not looked at"


def _pickled(response: BatchResponse) -> BatchResponse:
    copied: BatchResponse = pickle.loads(pickle.dumps(response))
    return copied


# --- its line ---

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(VALUES, st.text(max_size=4), st.none() | st.text(max_size=4), st.booleans())
def test_a_line_is_the_same_with_a_text_and_with_a_body(
    body: Any, custom_id: str, request_id: str | None, pretty: bool
) -> None:
    text = msgspec.json.format(msgspec.json.encode(body), indent=2 if pretty else -1)
    fields: dict[str, Any] = {"id": "batch_req_1", "custom_id": custom_id}
    kept = BatchResult(response=BatchResponse.of_text(201, request_id, text), **fields)
    parsed = BatchResult(
        response=BatchResponse(status_code=201, request_id=request_id, body=body), **fields
    )
    assert line_of(kept) == line_of(parsed)


def test_an_answer_on_one_line_is_written_as_it_came() -> None:
    text = b'{"n": 123456789012345678901234567890, "x":1.50, "n":1e2, "s":"\\u00e9\\/"}'
    line = line_of(result(of_text(text)))
    assert text in line
    assert json.loads(line)["response"]["body"]["x"] == 1.5


@pytest.mark.parametrize(
    "text",
    [
        b'{"n": 1e400}',
        b'{"n": ' + b"9" * 400 + b"}",
        b'{"n": ' + b"[" * 900 + b"]" * 900 + b"}",
        '{"s": "\u2028é"}'.encode(),
        b'{"n": 1, "n": 2}',
    ],
    ids=["a large float", "a long integer", "deep", "a line separator", "a key twice"],
)
def test_what_is_written_as_it_came_is_found_by_the_next_run(tmp_path: Path, text: bytes) -> None:
    journal = FileJournal(tmp_path / "out.jsonl")
    journal.open()
    journal.append([result(of_text(text))])
    journal.close()
    again = reopened(tmp_path / "out.jsonl")
    assert (again.kept, again.failed, again.repaired) == (1, 0, 0)
    assert "a" in again.done


@pytest.mark.parametrize("space", [b"\n", b"\r", b"\r\n"])
def test_an_answer_on_several_lines_is_written_on_one(space: bytes) -> None:
    line = line_of(result(of_text(b'{"a":' + space + b"1}")))
    assert line.count(b"\n") == 1
    assert line.count(b"\r") == 0
    assert b'"body":{"a":1}' in line


def test_a_failed_result_is_written_with_its_error() -> None:
    error = BatchError(code="odd", message="Odd.")
    line = line_of(result(of_text(b"{}"), error=error))
    assert json.loads(line)["error"] == {"code": "odd", "message": "Odd."}


# --- from the answer ---


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (b'{"usage": {"total_tokens": 12}}', 12),
        ('{"é": "ü", "usage": null}'.encode(), 0),
        (b'{"n": 12345678901234567890123}', 0),
        (b'{"error": null, "type": "x", "object": "list"}', 0),
    ],
)
async def test_a_good_answer_is_kept_as_its_text(
    mocked: aioresponses, mocked_client: AsyncClient, text: bytes, tokens: int
) -> None:
    answer = (await answered(mocked, mocked_client, text)).response
    assert answer is not None
    assert answer.text == text
    assert answer.body == json.loads(text)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (b'{"a": NaN}', {"a": None}),
        (b'{"a": "\\ud83d"}', {"a": "\ud83d"}),
        (b'{"type": 5}', {"type": 5}),
    ],
)
async def test_an_answer_that_is_not_strict_json_is_written_as_strict_json(
    mocked: aioresponses, mocked_client: AsyncClient, text: bytes, body: Any
) -> None:
    got = await answered(mocked, mocked_client, text)
    assert got.response is not None
    assert got.response.text is None
    assert json.loads(line_of(got))["response"]["body"] == body


async def test_an_answer_that_is_not_utf8_is_an_error(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    got = await answered(mocked, mocked_client, b'{"a": "\xff"}')
    assert got.error is not None
    assert got.error.code == "APIResponseValidationError"


@pytest.mark.parametrize("kind", ["object", "type"])
async def test_a_flat_error_is_an_error(
    mocked: aioresponses, mocked_client: AsyncClient, kind: str
) -> None:
    text = json.dumps({kind: "error", "message": "No."}).encode()
    assert (await answered(mocked, mocked_client, text)).failed


async def answered(mocked: aioresponses, client: AsyncClient, text: bytes) -> BatchResult:
    mocked.post(f"{BASE_URL}/embeddings", body=text)
    return await send_request(client, BatchRequest(custom_id="a", url="/v1/embeddings"))


# --- ids ---


def test_no_two_ids_are_the_same() -> None:
    ids = {sending._new_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(len(id) == len("batch_req_") + 32 for id in ids)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_ids_of_its_own() -> None:
    sending._new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, sending._new_id().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        theirs = pipe.read().decode()
    os.waitpid(child, 0)
    assert theirs.startswith("batch_req_")
    assert theirs not in {sending._new_id() for _ in range(1000)}
