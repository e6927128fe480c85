"""`openai-async models` and `openai-async image`."""

import json
from pathlib import Path

import pytest
from PIL import Image

from openai_async.testing import LocalServer, Reply

from .cli_process import Terminal, run_process
from .cli_thread import run_beside, run_cli

PNG = b"\x89PNG\r\n\x1a\n"


def test_piped_models_are_tab_separated_without_a_header() -> None:
    done = run_process("models", "--local")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "gpt-4o\tsystem\t2024-05-10"
    assert all(line.count("\t") == 2 for line in lines)


def test_models_on_a_terminal_are_a_table() -> None:
    with Terminal("models", "--local") as terminal:
        assert terminal.exit_code() == 0
        assert "\x1b[1m" in terminal.screen
        assert "owned by" in terminal.screen
        assert "────" in terminal.screen


async def test_models_json_is_the_list_as_it_came() -> None:
    answer = {"object": "list", "data": [{"id": "mine", "vendor": {"x": None}}]}
    async with LocalServer() as server:
        server.script(Reply(json=answer))
        code, stdout, _ = await run_beside("models", "--base-url", server.url, "--json")
    assert (code, json.loads(stdout)) == (0, answer)


async def test_odd_models_are_listed_too() -> None:
    models = [{"id": "a\tb", "created": 1e300}, {"id": "c", "owned_by": None, "created": None}]
    async with LocalServer() as server:
        server.script(Reply(json={"data": models}))
        code, stdout, _ = await run_beside("models", "--base-url", server.url)
    assert (code, stdout) == (0, "a b\t\t-\nc\t\t-\n")


def test_an_image_is_saved_and_its_path_printed(tmp_path: Path) -> None:
    path = tmp_path / "otter.png"
    done = run_process("image", "an otter", "--local", "-o", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}\n", "")
    assert path.read_bytes().startswith(PNG)


def test_image_json_describes_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "otter.png"
    done = run_cli("image", "an otter", "--local", "--output", str(path), "--json")
    told = json.loads(done.stdout)
    assert told.keys() == {"path", "size", "format", "revised_prompt", "request_id"}
    assert (told["path"], told["size"]) == (str(path), path.stat().st_size)
    assert told["format"] == "png"


def test_a_picture_is_changed(tmp_path: Path) -> None:
    cat, mask, path = (tmp_path / name for name in ("cat.png", "mask.png", "hat.png"))
    Image.new("RGB", (64, 64), "red").save(cat)
    Image.new("RGBA", (64, 64)).save(mask)
    edit = ("image", "a hat", "--local", "--edit", str(cat), "--size", "256x256", "-o", str(path))
    assert run_cli(*edit).stdout == f"{path}\n"
    assert Image.open(path).getpixel((0, 0)) != (255, 0, 0)
    assert run_cli(*edit, "--edit", str(cat), "--mask", str(mask)).returncode == 0
    for wrong, said in (
        (("image", "x", "--mask", str(mask), "-o", str(path)), "--mask needs a picture"),
        ((*edit, "--style", "vivid"), "--style is for new pictures"),
    ):
        done = run_cli(*wrong)
        assert done.returncode == 2
        assert said in done.stderr


async def test_image_options_become_parameters(tmp_path: Path) -> None:
    async with LocalServer() as server:
        code, _, _ = await run_beside(
            *("image", "an otter", "-o", str(tmp_path / "o.png"), "--base-url", server.url),
            *("--size", "1792x1024", "--quality", "hd", "--style", "natural"),
            *("--model", "dall-e-3"),
        )
        assert code == 0
        assert server.requests[0].json == {
            "model": "dall-e-3",
            "prompt": "an otter",
            "size": "1792x1024",
            "quality": "hd",
            "style": "natural",
        }


@pytest.mark.parametrize("where", [".", "missing/otter.png"])
async def test_a_wrong_file_is_reported_before_anything_is_paid_for(
    tmp_path: Path, where: str
) -> None:
    async with LocalServer() as server:
        code, _, stderr = await run_beside(
            "image", "x", "-o", str(tmp_path / where), "--base-url", server.url
        )
        assert (code, server.requests) == (2, [])
    assert stderr.startswith("error: ")


async def test_an_answer_without_a_picture_is_an_error(tmp_path: Path) -> None:
    async with LocalServer() as server:
        server.script(Reply(json={"created": 1, "data": []}))
        code, _, stderr = await run_beside(
            "image", "x", "-o", str(tmp_path / "o"), "--base-url", server.url
        )
    assert code == 1
    assert stderr.startswith("error: The server sent no picture. (request id: req_")
