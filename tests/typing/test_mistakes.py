"""A misspelt keyword is reported by every type checker, on its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from . import checkers

MISTAKES = """\
from openai_async import AsyncClient
from openai_async.types.chat import ChatCompletionMessageParam

async def ask(client: AsyncClient) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    await client.chat.completions.create(model="m", messages=messages)
    await client.chat.completions.create(modle="m", messages=messages)
    await client.chat.completions.create(model="m", messages=messages, temprature=1)
    await client.chat.completions.create(model="m", messages=messages, stream=True, temprature=1)
    await client.chat.completions.create(model="m", messages=["Hi"])
    await client.chat.completions.create(model="m", messages=messages, tools=["add"])
    await client.models.list(time_out=1)
    await client.models.retrieve("m", time_out=1)
    await client.embeddings.create(model="m", inputs="a")
    await client.images.generate(prompt="x", styel="vivid")
    await client.images.edit(image="x.png", promt="x")
    await client.moderations.create(input="a", modle="m")
    await client.files.create(file=b"", purpose="batch", expires=1)
    await client.uploads.create(filename="f", bytes=1, mime_type="a/b", purpos="batch")
    await client.batches.create(input_file_id="f", endpoint="/v1/embeddings", meta={})
    client.batches.list(limt=1)
    client.chat.completions.list(modle="m")
    client.with_options(max_connection=1)
    typed: list[ChatCompletionMessageParam] = [{"role": "user", "contnt": "Hi"}]
    typed = [{"role": "usr", "content": "Hi"}]
"""
# Of the functions: line 6 is right.
WRONG = {*range(7, 1 + len(MISTAKES.splitlines()))}


@pytest.mark.parametrize("checker", ["mypy", "basedpyright", "ty"])
def test_a_misspelt_keyword_is_an_error(tmp_path: Path, checker: str) -> None:
    page = tmp_path / "mistakes.py"
    page.write_text(MISTAKES, encoding="utf-8")
    said = getattr(checkers, checker)(page)
    assert {int(line) for line in re.findall(r"mistakes\.py:(\d+)", said)} == WRONG, said
