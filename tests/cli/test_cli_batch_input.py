"""What `openai-async batch` does before anything is sent: `--dry-run` and `--from-prompts`."""

import asyncio
import json
from pathlib import Path

import pytest

from openai_async.batch.output.output_file import OutputFile
from openai_async.testing import Failure, LocalServer

from .batch_files import batch, results, write_input
from .cli_process import PATIENCE, outcome, start_cli
from .cli_thread import run_cli


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_input(tmp_path / "in.jsonl")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


# --- dry run ---


def test_a_dry_run_sends_and_writes_nothing(source: Path, tmp_path: Path) -> None:
    done = run_cli("batch", str(source), "-o", str(tmp_path / "out"), "--dry-run", "--rpm", "1")
    assert (done.returncode, done.stderr) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert rows["requests"] == "5"
    assert rows["models"] == "gpt-4o-mini 5"
    assert rows["urls"] == "/v1/chat/completions 5"
    assert rows["tokens"].endswith(" (estimated, answers included)")
    assert rows["time"] == "5 min 00 s or more (limit 1/min)"
    assert list(tmp_path.iterdir()) == [source]


async def test_a_dry_run_knows_what_is_done(
    server: LocalServer, source: Path, target: Path
) -> None:
    server.script(Failure(400, message="No such thing."))
    await batch(server, source, "-o", target)
    write_input(source, 7)
    before = target.read_bytes()
    _, stdout, _ = await batch(server, source, "-o", target, "--dry-run", "--json")
    assert [json.loads(stdout)[name] for name in ("requests", "done", "to_do")] == [7, 5, 2]
    _, stdout, _ = await batch(
        server, source, "-o", target, "--dry-run", "--json", "--retry-failed"
    )
    assert [json.loads(stdout)[name] for name in ("requests", "done", "to_do")] == [7, 4, 3]
    assert target.read_bytes() == before
    assert len(server.requests) == 5


async def test_a_dry_run_knows_what_is_done_in_parts(
    server: LocalServer, source: Path, tmp_path: Path
) -> None:
    await batch(server, source, "-o", tmp_path / "out", "--parts", "jsonl")
    done = run_cli("batch", str(source), "-o", str(tmp_path / "out"), "--dry-run", "--json")
    assert json.loads(done.stdout)["done"] == 5


def test_a_dry_run_names_all_bad_lines(source: Path, target: Path) -> None:
    write_input(source, 2, more=["{broken"] * 30)
    arguments = ["batch", str(source), "-o", str(target), "--dry-run"]
    done = run_cli(*arguments)
    assert done.returncode == 1
    assert "bad lines  30" in done.stdout
    for number in range(3, 33):
        assert f"\n  line {number}: not valid JSON" in done.stderr
    done = run_cli(*arguments, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert [bad["line"] for bad in json.loads(done.stdout)["bad"]] == list(range(3, 33))
    assert run_cli(*arguments, "--skip-bad-lines").returncode == 0


# --- prompts ---


async def test_prompts_become_requests_that_can_be_looked_at(
    server: LocalServer, tmp_path: Path, target: Path
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Why is the sky blue?\nWhy is grass green?\n")
    options = ["--system", "Be brief.", "--max-tokens", "9", "--temperature", "0"]
    arguments: list[str | Path] = [
        "--from-prompts",
        prompts,
        "--model",
        "gpt-4o",
        "-o",
        target,
        *options,
    ]
    code, _, _ = await batch(server, *arguments)
    assert code == 0
    assert results(target).keys() == {"prompt-1", "prompt-2"}
    first = json.loads((tmp_path / "out.requests.jsonl").read_text().splitlines()[0])
    assert first["body"] == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Why is the sky blue?"},
        ],
        "max_tokens": 9,
        "temperature": 0,
    }


async def test_prompts_of_a_csv(server: LocalServer, tmp_path: Path, target: Path) -> None:
    prompts = tmp_path / "prompts.csv"
    prompts.write_text('id,text\na,"Why, oh why?"\nb,How?\n')
    arguments: list[str | Path] = ["--from-prompts", prompts, "--model", "gpt-4o", "-o", target]
    code, _, _ = await batch(server, *arguments, "--column", "text", "--id-column", "id")
    assert code == 0
    assert results(target).keys() == {"a", "b"}
    asked = {seen.json["messages"][0]["content"] for seen in server.requests}
    assert asked == {"Why, oh why?", "How?"}


async def test_more_prompts_are_more_requests(
    server: LocalServer, tmp_path: Path, target: Path
) -> None:
    prompts = tmp_path / "prompts.txt"
    arguments: list[str | Path] = ["--from-prompts", prompts, "--model", "gpt-4o", "-o", target]
    for text in ("One?\n", "One?\n", "One?\nTwo?\n"):
        prompts.write_text(text)
        code, _, _ = await batch(server, *arguments)
        assert code == 0
    assert len(server.requests) == 2


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
async def test_other_prompts_do_not_count_as_done(
    server: LocalServer, tmp_path: Path, target: Path, options: list[str]
) -> None:
    prompts = tmp_path / "prompts.txt"
    arguments: list[str | Path] = ["--from-prompts", prompts, "--model", "gpt-4o", "-o", target]
    for before, after in (("One?\n", "Uno?\n"), ("One?\nTwo?\n", "One?\n")):
        target.unlink(missing_ok=True)
        prompts.write_text(before)
        await batch(server, *arguments)
        kept = (tmp_path / "out.requests.jsonl").read_bytes()
        prompts.write_text(after)
        code, stdout, stderr = await batch(server, *arguments, *options)
        assert (code, stdout) == (1, "")
        assert stderr.startswith(f"error: The results in {target} belong to ")
        assert (tmp_path / "out.requests.jsonl").read_bytes() == kept


@pytest.mark.parametrize("parts", [[], ["--parts", "jsonl"]])
async def test_other_prompts_wait_for_a_run_that_has_no_answer_yet(
    server: LocalServer, tmp_path: Path, parts: list[str]
) -> None:
    target, prompts, others = tmp_path / "out", tmp_path / "prompts.txt", tmp_path / "others.txt"
    prompts.write_text("One?\n")
    others.write_text("Uno?\n")
    server.script(Failure(stall_after=0))
    options = ["--model", "gpt-4o", "-o", str(target), *parts]
    first = await start_cli(
        "batch", "--from-prompts", str(prompts), *options, "--base-url", server.url
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await server.received()
        written = (tmp_path / "out.requests.jsonl").read_bytes()
        assert b"One?" in written
        code, _, stderr = await batch(server, "--from-prompts", others, *options)
        assert code == 1
        assert "is being written by another run: wait for it" in stderr
        assert (tmp_path / "out.requests.jsonl").read_bytes() == written
    finally:
        first.kill()
        await outcome(first)
    # There is no answer: other prompts may take over.
    code, _, _ = await batch(server, "--from-prompts", others, *options)
    assert code == 0
    assert b"Uno?" in (tmp_path / "out.requests.jsonl").read_bytes()


async def test_requests_stay_while_a_run_without_prompts_has_the_output(
    server: LocalServer, tmp_path: Path, target: Path
) -> None:
    prompts, requests = tmp_path / "prompts.txt", tmp_path / "out.requests.jsonl"
    prompts.write_text("One?\n")
    write_input(requests, 1)
    written = requests.read_bytes()
    other = OutputFile(target)
    with other.opened():
        code, _, stderr = await batch(
            server, "--from-prompts", prompts, "--model", "gpt-4o", "-o", target
        )
    assert code == 1
    assert stderr.startswith(f"error: {target} is being written by another run")
    assert requests.read_bytes() == written
    assert not server.requests


async def test_results_of_unknown_requests_are_not_answers_to_prompts(
    server: LocalServer, tmp_path: Path, target: Path
) -> None:
    prompts, requests = tmp_path / "prompts.txt", tmp_path / "out.requests.jsonl"
    arguments: list[str | Path] = ["--from-prompts", prompts, "--model", "gpt-4o", "-o", target]
    prompts.write_text("One?\n")
    await batch(server, *arguments)
    requests.unlink()
    prompts.write_text("Uno?\n")
    code, _, stderr = await batch(server, *arguments)
    assert code == 1
    assert stderr.startswith(f"error: There are results in {target}, and no {requests} to tell")
    assert not requests.exists()


def test_a_dry_run_of_prompts_writes_nothing(tmp_path: Path, target: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("One?\nTwo?\n")
    arguments = ["--from-prompts", str(prompts), "--model", "gpt-4o", "-o", str(target)]
    done = run_cli("batch", *arguments, "--dry-run", "--json")
    assert json.loads(done.stdout)["to_do"] == 2
    assert list(tmp_path.iterdir()) == [prompts]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "out.jsonl.gz",
            "although its name ends in .gz: name it .jsonl, and compress it afterwards.",
        ),
        ("out.ZST", "although its name ends in .ZST: name it .jsonl, and compress it afterwards."),
        ("out.parquet", "name it .jsonl, or pass --parts parquet and a directory."),
        ("out.csv", "although its name ends in .csv: name it .jsonl."),
    ],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_an_output_named_for_another_kind_of_file_is_refused(
    source: Path, tmp_path: Path, name: str, said: str, more: list[str]
) -> None:
    done = run_cli("batch", str(source), "-o", str(tmp_path / name), "--local", *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: The output {name} would hold plain JSON Lines, ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("text", ["", "\n \n"])
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_file_without_prompts_is_named_and_leaves_nothing_behind(
    tmp_path: Path, target: Path, text: str, more: list[str]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text(text)
    arguments = ["--from-prompts", str(prompts), "--model", "gpt-4o", "-o", str(target)]
    done = run_cli("batch", *arguments, "--local", *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {prompts} has no prompts: write one on each line.\n"
    assert list(tmp_path.iterdir()) == [prompts]


def test_prompts_that_cannot_be_read_leave_nothing_behind(tmp_path: Path, target: Path) -> None:
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("id,text\na,One?\nb,\n")
    arguments = ["--from-prompts", str(prompts), "--model", "gpt-4o", "-o", str(target)]
    for parts in ([], ["--parts", "jsonl"]):
        done = run_cli("batch", *arguments, "--column", "text", "--local", *parts)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: {prompts}, row 2 has no 'text': ")
        assert list(tmp_path.iterdir()) == [prompts]
