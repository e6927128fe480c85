"""`openai-async batch`: what people see of a run, and of one that fails."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from openai_async import AsyncClient, RateLimit
from openai_async.batch import BatchReport
from openai_async.cli.app import run
from openai_async.testing import Failure, LocalServer, Reply

from .batch_files import batch, request, results, write_input
from .cli_process import COMMAND, PATIENCE, Terminal, environment, outcome, start_cli
from .cli_thread import run_cli

BAD = Failure(400, message="No such thing.", code="nothing")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_input(tmp_path / "in.jsonl")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


# --- a run ---


async def test_every_request_has_its_result(
    server: LocalServer, source: Path, target: Path
) -> None:
    arguments = ["batch", str(source), "-o", str(target)]
    process = await start_cli(*arguments, "--base-url", server.url)
    code, stdout, stderr = await outcome(process)
    assert code == 0
    found = results(target)
    assert found.keys() == {f"q{number}" for number in range(5)}
    for number in range(5):
        answer = found[f"q{number}"]["response"]["body"]["choices"][0]["message"]["content"]
        assert f"What is {number} squared?" in answer
    # The report is the output; progress is not.
    assert stdout.startswith("requests")
    assert "\ncompleted    5\n" in stdout
    start, end = stderr.splitlines()
    assert start == "0 of 5 done (0 %)"
    assert end.startswith("5 of 5 done (100 %), ")


async def test_with_json_the_report_is_one_line(
    server: LocalServer, source: Path, target: Path
) -> None:
    code, stdout, _ = await batch(server, source, "-o", target, "--json")
    assert code == 0
    (line,) = stdout.splitlines()
    report = json.loads(line)
    assert (report["total"], report["completed"], report["stopped"]) == (5, 5, None)


async def test_started_again_it_sends_what_is_missing(
    server: LocalServer, tmp_path: Path, source: Path, target: Path
) -> None:
    await batch(server, source, "-o", target)
    write_input(source, 8)
    code, stdout, stderr = await batch(server, source, "-o", target, "--json")
    assert code == 0
    assert len(server.requests) == len(results(target)) == 8
    assert (json.loads(stdout)["completed"], json.loads(stdout)["resumed"]) == (3, 5)
    assert stderr.startswith("5 of 8 done (62 %)\n")


async def test_failures_are_exit_code_1_until_their_requests_succeed(
    server: LocalServer, source: Path, target: Path
) -> None:
    server.script(BAD, BAD)
    code, stdout, stderr = await batch(server, source, "-o", target)
    assert code == 1
    assert "nothing  2" in stdout
    assert ", 2 failed, " in stderr
    assert stderr.splitlines()[-1].startswith("note: 2 failed")
    code, _, _ = await batch(server, source, "-o", target, "--retry-failed")
    assert code == 0
    assert not [line for line in results(target).values() if line["error"]]


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 422])
async def test_failures_that_would_recur_are_to_be_fixed_first(
    server: LocalServer, source: Path, target: Path, status: int
) -> None:
    server.script(Failure(status), times=2)
    said = f"fix the cause given in {target}, then add --retry-failed.\n"
    _, _, stderr = await batch(server, source, "-o", target)
    assert stderr.endswith(f"note: 2 failed and would fail again: {said}")
    _, stdout, stderr = await batch(server, source, "-o", target, "--json")
    assert stderr.endswith(f"note: 2 failed and would fail again: {said}")
    assert json.loads(stdout)["refused"] == 2


@pytest.mark.parametrize("parts", [[], ["--parts", "jsonl"], ["--parts", "parquet"]])
async def test_temporary_failures_are_distinguished_from_permanent_ones(
    server: LocalServer, tmp_path: Path, source: Path, parts: list[str]
) -> None:
    if "parquet" in parts:
        pytest.importorskip("pyarrow")
    target = tmp_path / "out"
    server.script(Failure(404), Failure(status=200, body="words"))
    for _ in range(2):
        _, _, stderr = await batch(server, source, "-o", target, *parts)
        assert stderr.endswith(
            "note: 2 failed: --retry-failed sends them again, "
            f"but for 1 of them fix the cause given in {target} first.\n"
        )


async def test_temporary_failures_only_need_another_attempt(
    server: LocalServer, source: Path, target: Path
) -> None:
    server.script(Failure(status=200, body="words"))
    _, _, stderr = await batch(server, source, "-o", target)
    assert stderr.endswith("note: 1 failed: --retry-failed sends them again.\n")


async def test_a_mistyped_model_can_be_corrected_with_the_same_output(
    server: LocalServer, tmp_path: Path, target: Path
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("One?\nTwo?\n")
    arguments: list[str | Path] = ["--from-prompts", prompts, "-o", target]
    code, _, stderr = await batch(server, *arguments, "--model", "gtp-4o")
    assert (code, "2 failed and would fail again" in stderr) == (1, True)
    code, _, stderr = await batch(server, *arguments, "--model", "gpt-4o")
    assert (code, "belong to" in stderr) == (1, True)
    code, _, _ = await batch(server, *arguments, "--model", "gpt-4o", "--retry-failed")
    assert code == 0
    assert [line["error"] for line in results(target).values()] == [None, None]


async def test_a_run_that_makes_no_sense_stops_with_its_report(source: Path, target: Path) -> None:
    async with LocalServer(api_key="sk-right") as server:
        code, stdout, stderr = await batch(server, source, "-o", target, key="sk-wrong")
        assert code == 1
        assert "not done" in stdout
        assert stderr.splitlines()[-1].startswith("error: ")
        code, stdout, stderr = await batch(server, source, "-o", target, "--json", key="sk-wrong")
        assert json.loads(stdout)["stopped"]
        assert json.loads(stderr.splitlines()[-1])["error"]["type"] == "BatchStoppedError"
        code, _, _ = await batch(server, source, "-o", target, key="sk-right")
        assert code == 0


def test_options_reach_the_run(monkeypatch: pytest.MonkeyPatch, source: Path, target: Path) -> None:
    seen: dict[str, Any] = {}

    async def run_batch(client: AsyncClient, *files: Path, **options: Any) -> BatchReport:
        seen.update(options, files=files, limit=client.rate_limit)
        return BatchReport(total=0)

    monkeypatch.setattr("openai_async.cli.batch.run_batch", run_batch)
    options = "--local --concurrency 3 --rpm 600 --tpm 7000 --parts parquet --retry-failed"
    ray = "--engine ray --workers 2 --columns prompt=text,model=gpt-4o --skip-bad-lines"
    assert run(["batch", str(source), "-o", str(target), *options.split(), *ray.split()]) == 0
    assert seen.pop("limit") == RateLimit(requests_per_minute=600, tokens_per_minute=7000)
    assert not seen.pop("stop").is_set()
    assert seen == {
        "files": (source, target),
        "concurrency": 3,
        "progress": True,
        "engine": "ray",
        "retry_failed": True,
        "skip_bad_lines": True,
        "parts": "parquet",
        "workers": 2,
        "columns": {"prompt": "text", "model": "gpt-4o"},
    }


async def test_parts_are_files_in_a_directory(
    server: LocalServer, source: Path, tmp_path: Path
) -> None:
    code, _, _ = await batch(server, source, "-o", tmp_path / "out", "--parts", "jsonl")
    assert code == 0
    assert len(results(tmp_path / "out" / "part-00000.jsonl")) == 5


def test_a_terminal_gets_a_bar(source: Path, target: Path) -> None:
    with Terminal("batch", str(source), "-o", str(target), "--local") as terminal:
        assert terminal.exit_code() == 0
    assert "Checking the input" in terminal.screen
    assert " 5/5 " in terminal.screen
    assert "━ 100 %" in terminal.screen.replace("\x1b[0m", "")
    assert terminal.screen.rindex("completed") > terminal.screen.rindex("100 %")


# --- bad input, wrong usage ---


async def test_bad_lines_are_named_before_anything_is_sent(
    server: LocalServer, source: Path, target: Path
) -> None:
    write_input(source, 2, more=["{broken", json.dumps(request(0))])
    code, stdout, stderr = await batch(server, source, "-o", target)
    assert (code, stdout, server.requests) == (1, "", [])
    assert not target.exists()
    first, *lines, last = stderr.splitlines()
    assert first == f"error: {source} has 2 bad lines, and 2 good:"
    assert lines[0].startswith("  line 3: not valid JSON: ")
    assert lines[1] == "  line 4: custom_id 'q0' repeats that of an earlier line."
    assert "--skip-bad-lines" in last


async def test_bad_lines_can_be_skipped(server: LocalServer, source: Path, target: Path) -> None:
    write_input(source, 2, more=["{broken"])
    code, stdout, _ = await batch(server, source, "-o", target, "--skip-bad-lines")
    assert code == 0
    assert "bad lines    1  skipped" in stdout
    errors = [line["error"]["code"] for line in results(target).values() if line["error"]]
    assert errors == ["bad_line"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "out"], "There is no input: name a JSONL file of requests"),
        (["in", "-o", "out", "--from-prompts", "p.txt"], "There are two inputs"),
        (["in"], "--output"),
        (["in", "-o", "in"], "Input and output are the same file"),
        (["-o", "out", "--from-prompts", "p.txt"], "--from-prompts needs --model"),
        (["in", "-o", "out", "--id-column", "id"], "--id-column is only for --from-prompts"),
        (
            ["in", "-o", "out", "--workers", "2"],
            "--workers and --columns are only for --engine ray",
        ),
        (["in", "-o", "out", "--engine", "ray", "--columns", "id"], "prompt=text,model=gpt-4o"),
        (["in.parquet", "-o", "out"], "in.parquet is Parquet: pass it with --from-prompts"),
        (["in", "-o", "out", "--concurrency", "0"], "--concurrency"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run_cli("batch", *arguments, "--local", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not list(tmp_path.iterdir())


LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([LONG, "-o", "out"], f"The path {LONG[:80]}... is too long"),
        (["in", "-o", LONG], f"The path {LONG[:80]}... is too long"),
        (["in", "-o", "x/" * 3000], "is too long"),
        (["--from-prompts", LONG, "-o", "out", "--model", "m"], "is too long"),
        # Only the name of the requests is.
        (["--from-prompts", "p", "-o", LONG[:250], "--model", "m"], "is too long"),
        (["a\0b", "-o", "out"], "'a\\x00b' is not a valid path: name a file."),
        (["in", "-o", "a\0b"], "'a\\x00b' is not a valid path: name a file."),
        (["--from-prompts", "a\0b", "-o", "out", "--model", "m"], "is not a valid path"),
        (["--from-prompts", "p", "-o", ".", "--model", "m"], "has no file name: name a file"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_an_argument_that_is_not_a_path_is_reported_in_one_sentence(
    arguments: list[str],
    said: str,
    more: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["batch", *arguments, "--local", *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.requests.jsonl", "other name", "same.jsonl"])
def test_prompts_are_not_written_over(name: str, tmp_path: Path) -> None:
    prompts = tmp_path / name
    prompts.write_text("One?\n")
    linked = tmp_path / "out.requests.jsonl"
    if name == "other name":
        linked.hardlink_to(prompts)
    target = prompts if name == "same.jsonl" else tmp_path / "out.jsonl"
    arguments = ["--from-prompts", str(prompts), "--model", "m", "-o", str(target), "--local"]
    for more in ([], ["--dry-run"]):
        done = run_cli("batch", *arguments, *more)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        if target == prompts:
            assert "Input and output are the same file" in line
        else:
            assert f"The requests would replace the prompts in {linked}" in line
        assert prompts.read_text() == "One?\n"


@pytest.mark.parametrize("content", [None, b"", b"\n\n"])
def test_an_invalid_input_is_one_sentence(
    content: bytes | None, tmp_path: Path, target: Path
) -> None:
    source = tmp_path / "in.jsonl"
    if content is not None:
        source.write_bytes(content)
    for options in ([], ["--dry-run"]):
        done = run_cli("batch", str(source), "-o", str(target), "--local", *options)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"error: {source} ")
    assert not target.exists()


def test_an_invalid_output_is_one_sentence(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "out.jsonl"
    done = run_cli("batch", str(source), "-o", str(target), "--local")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {target} cannot be opened (")


def test_a_batch_without_a_key_fails_with_one_error(source: Path, target: Path) -> None:
    done = run_cli("batch", str(source), "-o", str(target))
    assert done.returncode == 1
    assert done.stderr.startswith("error: No API key: ")


# --- Ctrl-C ---


async def noted(process: asyncio.subprocess.Process) -> None:
    """Wait until the process has said that it has seen a signal."""
    assert process.stderr is not None
    async with asyncio.timeout(20):
        await process.stderr.readuntil(b"Ctrl-C again to stop at once.\n")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_the_first_ctrl_c_finishes_what_is_in_flight(
    server: LocalServer, source: Path, target: Path, number: signal.Signals, expected: int
) -> None:
    write_input(source, 100)
    server.script(Failure(delay=0.5), times=100)
    arguments = ["batch", str(source), "-o", str(target), "--concurrency", "3"]
    process = await start_cli(*arguments, "--base-url", server.url)
    async with asyncio.timeout(20):
        await server.received(3)
    process.send_signal(number)
    await noted(process)
    exit_code, stdout, stderr = await outcome(process)
    assert exit_code == expected
    assert "not done" in stdout
    assert "stopped: it was interrupted." in stdout
    assert stderr.endswith("note: Run the same command again to resume.\n")
    # Every request sent has its result: none was sent in vain.
    sent = len(server.requests)
    assert 3 <= len(results(target)) == sent < 100
    server.reset()
    code, _, _ = await batch(server, source, "-o", target)
    assert code == 0
    assert len(results(target)) == 100
    assert len(server.requests) == 100 - sent


async def test_the_second_ctrl_c_ends_at_once(
    server: LocalServer, source: Path, target: Path
) -> None:
    server.script(Reply("42"), Reply("43"), Failure(stall_after=0), Failure(stall_after=0))
    arguments = ["batch", str(source), "-o", str(target), "--concurrency", "2"]
    process = await start_cli(*arguments, "--base-url", server.url)
    async with asyncio.timeout(20):
        await server.received(4)
    process.send_signal(signal.SIGINT)
    await noted(process)
    process.send_signal(signal.SIGINT)
    exit_code, _, stderr = await outcome(process)
    assert exit_code == 130
    assert stderr.endswith("note: Stopped. Run the same command again to resume.\n")
    # Results that had arrived are kept; the others are missing.
    assert results(target).keys() == {"q0", "q1"}
    async with asyncio.timeout(20):
        await server.requests[-1].finished()
    assert server.requests[-1].disconnected


async def test_closing_stderr_does_not_end_the_run(
    server: LocalServer, source: Path, target: Path
) -> None:
    command = [*COMMAND, "batch", str(source), "-o", str(target), "--base-url", server.url]
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'exec "$@" 2>&-', "sh", *command),
        stdout=asyncio.subprocess.DEVNULL,
        env=environment(OPENAI_API_KEY="local"),
    )
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0
    assert len(results(target)) == 5
