"""What the commands send to servers of all kinds, and what they make of their answers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from openai_async.testing import LocalServer, Reply

from .cli_thread import run_beside

FILES = {
    "png": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(20),
    "gif": b"GIF89a" + bytes(20),
    "webp": b"RIFF\x10\0\0\0WEBPVP8 " + bytes(20),
    "psd": b"8BPS\0\1" + bytes(20),
}
# OpenAI's models that are retired, or will be within a year of writing.
RETIRED = (
    "dall-e-",
    "gpt-image-1",
    "gpt-3.5",
    "gpt-4",
    "gpt-5.1",
    "gpt-5.4-nano",
    "o1",
    "o3",
    "o4",
)


async def sent(*arguments: str | Path) -> Any:
    """The body of the only request of a command that succeeds."""
    async with LocalServer() as server:
        server.script(Reply(json=picture("png")) if arguments[0] == "image" else Reply("Hi"))
        code, _, stderr = await run_beside(*map(str, arguments), "--base-url", server.url)
        assert (code, stderr) == (0, "")
        (request,) = server.requests
    return request.json


def picture(kind: str) -> dict[str, Any]:
    return {"created": 1, "data": [{"b64_json": base64.b64encode(FILES[kind]).decode()}]}


# --- what is sent ---


async def test_an_image_request_has_only_the_parameters_that_were_given(tmp_path: Path) -> None:
    body = await sent("image", "an otter", "-o", tmp_path / "o.png", "--model", "m")
    assert body == {"model": "m", "prompt": "an otter"}


async def test_values_newer_than_the_package_are_passed_on(tmp_path: Path) -> None:
    options = {"size": "1536x864", "quality": "xhigh"}
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    body = await sent("image", "an otter", "-o", tmp_path / "o.png", "--model", "new", *flags)
    assert body == {"model": "new", "prompt": "an otter", **options}


@pytest.mark.parametrize(
    "arguments", [("chat", "Hi"), ("image", "Hi", "-o", "{place}/o.png")], ids=["chat", "image"]
)
async def test_the_model_asked_by_default_is_not_retired(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    body = await sent(*(argument.format(place=tmp_path) for argument in arguments))
    assert not body["model"].startswith(RETIRED)


LIMITS: list[dict[str, int]] = [
    {},
    {"max_completion_tokens": 50},
    {"max_tokens": 50},
]


def flags(limits: dict[str, int]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in limits.items()]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
async def test_a_chat_is_bounded_by_the_name_that_the_model_knows(limits: dict[str, int]) -> None:
    body = await sent("chat", "Hi", "--no-stream", "--model", "m", *flags(limits))
    assert body == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **limits}


@pytest.mark.parametrize("limits", LIMITS, ids=str)
async def test_prompts_of_a_batch_are_bounded_the_same_way(
    tmp_path: Path, limits: dict[str, int]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Hi\n")
    async with LocalServer() as server:
        server.script(Reply("Hello"))
        code, _, _ = await run_beside(
            *("batch", "--from-prompts", str(prompts), "-o", str(tmp_path / "out.jsonl")),
            *("--model", "m", "--base-url", server.url, *flags(limits)),
        )
        assert code == 0
        body = server.requests[0].json
    assert body == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **limits}


# --- what arrives ---


@pytest.mark.parametrize(
    ("kind", "name", "note"),
    [
        ("png", "o.png", ""),
        ("jpeg", "o.jpg", ""),
        ("jpeg", "o.JPEG", ""),
        ("jpeg", "o", ""),
        ("webp", "o.webp", ""),
        ("jpeg", "o.png", "is JPEG, not PNG: the server sent it that way."),
        ("webp", "o.PNG", "is WebP, not PNG: the server sent it that way."),
        ("png", "o.jpg", "is PNG, not JPEG: the server sent it that way."),
        ("gif", "o.webp", "is GIF, not WebP: the server sent it that way."),
        (
            "psd",
            "o.png",
            "is in an unknown format, not PNG: the server sent it that way.",
        ),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["plain", "json"])
async def test_a_picture_is_kept_as_it_came_and_a_name_that_misleads_is_noted(
    tmp_path: Path, kind: str, name: str, note: str, flags: list[str]
) -> None:
    path = tmp_path / name
    async with LocalServer() as server:
        server.script(Reply(json=picture(kind)))
        code, stdout, stderr = await run_beside(
            "image", "x", "-o", str(path), "--base-url", server.url, *flags
        )
    assert (code, path.read_bytes()) == (0, FILES[kind])
    assert stderr == (f"note: {path} {note}\n" if note else "")
    if flags:
        assert json.loads(stdout)["format"] == (None if kind == "psd" else kind)
    else:
        assert stdout == f"{path}\n"
