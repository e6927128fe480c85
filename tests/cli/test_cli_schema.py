"""`openai-async chat --schema FILE`: the answer is JSON, or the command fails."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from openai_async.testing import Failure, LocalServer, RecordedRequest, Reply

from .cli_process import Terminal, environment
from .cli_thread import run_beside, run_cli

CITY = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "inhabitants": {"type": "integer"}},
    "required": ["name", "inhabitants"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"name": {"type": "string"}}}


@pytest.fixture
def schema(tmp_path: Path) -> str:
    return write(tmp_path / "city.json", CITY)


def write(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value))
    return str(path)


async def ask(server: LocalServer, *arguments: str) -> tuple[int, str, str]:
    return await run_beside("chat", "--base-url", server.url, "Where?", *arguments)


def fitting(request: RecordedRequest) -> Reply:
    schema = request.json["response_format"]["json_schema"]["schema"]
    keys = dict.fromkeys(schema.get("required", []))
    return Reply("[]" if schema["type"] == "array" else json.dumps(keys))


async def sent(path: str) -> Any:
    async with LocalServer() as server:
        server.script(fitting)
        assert (await ask(server, "--schema", path))[0] == 0
        return server.requests[0].json["response_format"]


# --- what is sent ---


async def test_a_bare_schema_gets_the_name_of_its_file(schema: str) -> None:
    assert await sent(schema) == {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": CITY, "strict": True},
    }


@pytest.mark.parametrize(
    ("file", "title", "name"),
    [
        ("a city.v2.json", None, "a_city_v2"),
        ("x.json", "City of the South", "City_of_the_South"),
        ("ville.json", "Städte", "St_dte"),
        ("都市.json", None, "answer"),
        ("x.json", "n" * 100, "n" * 64),
    ],
)
async def test_the_name_is_one_that_the_api_takes(
    tmp_path: Path, file: str, title: str | None, name: str
) -> None:
    value = CITY if title is None else {**CITY, "title": title}
    assert (await sent(write(tmp_path / file, value)))["json_schema"]["name"] == name


def nested(part: Any) -> dict[str, Any]:
    return {**CITY, "properties": {"part": part}, "required": ["part"]}


@pytest.mark.parametrize(
    "value",
    [
        CITY,
        nested({"type": "array", "items": CITY}),
        nested({"anyOf": [CITY, {"type": "null"}]}),
        {**nested({"$ref": "#/$defs/city"}), "$defs": {"city": CITY}},
        nested({"type": "string", "pattern": "^a"}),
        nested({"type": "integer", "default": 3}),
    ],
)
async def test_a_bare_schema_is_strict(tmp_path: Path, value: Any) -> None:
    async with LocalServer() as server:
        path = write(tmp_path / "x.json", value)
        code, _, stderr = await ask(server, "--schema", path)
        given = server.requests[0].json["response_format"]["json_schema"]
    assert given == {"name": "x", "schema": value, "strict": True}
    assert (code, stderr) == (0, "")  # LocalServer refuses what strict mode refuses


CLOSED = "'additionalProperties' is required to be supplied and to be false."


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (OPEN, f"In context=(), {CLOSED}"),
        (
            {"type": "array", "items": CITY},
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
        ),
        (
            {**CITY, "required": ["name"]},
            "In context=(), 'required' is required to be supplied and to be an array including "
            "every key in properties. Missing 'inhabitants'.",
        ),
        ({**CITY, "additionalProperties": True}, f"In context=(), {CLOSED}"),
        (nested(OPEN), f"In context=('properties', 'part'), {CLOSED}"),
        (
            nested({"type": "array", "items": OPEN}),
            f"In context=('properties', 'part', 'items'), {CLOSED}",
        ),
        (
            nested({"anyOf": [OPEN, {"type": "null"}]}),
            f"In context=('properties', 'part', 'anyOf', '0'), {CLOSED}",
        ),
        (
            {**nested({"$ref": "#/$defs/city"}), "$defs": {"city": OPEN}},
            f"In context=('$defs', 'city'), {CLOSED}",
        ),
        (nested({"anyOf": 3}), "In context=('properties', 'part'), 3 is not a valid 'anyOf'."),
    ],
)
async def test_one_that_strict_mode_refuses_is_sent_without_and_a_note_says_why(
    tmp_path: Path, value: Any, why: str
) -> None:
    path = write(tmp_path / "x.json", value)
    async with LocalServer() as server:
        server.script(fitting)
        code, _, stderr = await ask(server, "--schema", path)
        given = server.requests[0].json["response_format"]["json_schema"]
    assert given == {"name": "x", "schema": value, "strict": False}
    assert code == 0
    note = f'{path!r} is sent with "strict": false, as strict mode refuses it: {why}'
    assert stderr == f"note: {note}\n"


@pytest.mark.parametrize("strict", [{}, {"strict": False}, {"strict": True}])
@pytest.mark.parametrize("whole", [False, True], ids=["json_schema", "response_format"])
async def test_the_objects_of_the_api_are_sent_as_they_are(
    tmp_path: Path, strict: dict[str, bool], whole: bool
) -> None:
    given = {"name": "town", "description": "A town.", "schema": CITY, **strict}
    wrapped = {"type": "json_schema", "json_schema": given}
    path = write(tmp_path / "x.json", wrapped if whole else given)
    assert await sent(path) == wrapped


# --- files that are not schemas ---


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "is not a JSON Schema: it is [1], not an object."),
        ('{"name": "Oslo"}', 'is not a JSON Schema: it has no "type", "properties" or "$ref".'),
        ('{"type": "city"}', "is not a JSON Schema: its \"type\" is 'city'."),
        ('{"type": ["string", {}]}', 'is not a JSON Schema: its "type" is {}.'),
        ("name: city", "is not JSON: "),
        ("", "is not JSON: "),
        ('{"name": "a city", "schema": {"type": "object"}}', "is 'a city': use 1 to 64 letters"),
        ('{"schema": {"type": "object"}}', "is null: use 1 to 64 letters"),
        ('{"name": "x", "schema": {}}', "is not a JSON Schema"),
        ('{"name": "x", "schema": {"type": "object"}, "strict": "no"}', "is 'no': use true or fa"),
    ],
)
async def test_a_wrong_file_is_one_sentence_and_nothing_is_sent(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    async with LocalServer() as server:
        code, stdout, stderr = await ask(server, "--schema", str(path))
        assert (code, stdout) == (2, "")
        assert message in stderr
        assert str(path) in stderr
        assert stderr.count("\n") == 1
        assert server.requests == []


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'{"title": "\xe9"}')
    for name, message in (
        ("none.json", "There is no file '"),
        ("", "Cannot read '"),
        ("latin.json", "latin.json' is not UTF-8 text: "),
    ):
        done = run_cli("chat", "--local", "Hi", "--schema", str(tmp_path / name))
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


# --- the answer ---


def test_the_answer_is_one_line_of_json(schema: str) -> None:
    done = run_cli("chat", "--local", "Where is Oslo?", "--schema", schema)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert sorted(json.loads(done.stdout)) == ["inhabitants", "name"]


@pytest.mark.parametrize("way", ["--stream", "--no-stream"])
async def test_the_values_are_printed_as_the_model_wrote_them(schema: str, way: str) -> None:
    async with LocalServer() as server:
        server.script(Reply('\n{"name":"Malmö",\n "inhabitants": 1.50e3}\n'))
        outcome = await ask(server, "--schema", schema, way)
    assert outcome == (0, '{"name": "Malmö", "inhabitants": 1.50e3}\n', "")


async def test_json_in_a_code_block_is_found(schema: str) -> None:
    async with LocalServer() as server:
        server.script(Reply('Here it is:\n```json\n{"name":"Malmö","inhabitants":3}\n```\nBye.'))
        outcome = await ask(server, "--schema", schema)
    assert outcome == (0, '{"name": "Malmö", "inhabitants": 3}\n', "")


@pytest.mark.parametrize(
    ("changes", "answer", "message"),
    [
        ({}, '{"name":"Oslo"}', "it has no 'inhabitants'."),
        ({}, "{}", "it has no 'name', 'inhabitants'."),
        ({}, "[]", "it is [], not of type object."),
        ({"type": "integer"}, "1.5", "it is 1.5, not of type integer."),
        ({"type": "integer"}, "1.0", None),
        ({"type": "number"}, "1", None),
        ({"type": "number"}, "true", "it is true, not of type number."),
        ({"type": ["string", "null"]}, "3", "it is 3, not of type string or null."),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": ["object", "array"]}, "[]", None),
    ],
)
async def test_an_answer_has_the_type_and_the_keys_that_the_schema_requires(
    tmp_path: Path, changes: dict[str, Any], answer: str, message: str | None
) -> None:
    """A server without a strict mode ignores the schema."""
    value = {"name": "x", "schema": {**CITY, **changes}}
    path = write(tmp_path / "x.json", value)
    async with LocalServer() as server:
        server.script(Reply(answer))
        code, stdout, stderr = await ask(server, "--schema", path)
    if message is None:
        assert (code, stdout, stderr) == (0, f"{answer}\n", "")
    else:
        error = f"error: The answer does not match the schema: {message}\n"
        assert (code, stdout, stderr) == (1, "", error)


async def test_a_terminal_shows_it_indented(schema: str) -> None:
    async with LocalServer() as server:
        server.script(Reply('{"name":"Malmö","inhabitants":3}'))
        env = environment(OPENAI_API_KEY="local", OPENAI_BASE_URL=server.url)
        with Terminal("chat", "Hi", "--schema", schema, env=env) as terminal:
            assert await asyncio.to_thread(terminal.exit_code) == 0
    assert '{\r\n  "name": "Malmö",\r\n  "inhabitants": 3\r\n}\r\n' in terminal.screen


@pytest.mark.parametrize("way", ["--stream", "--no-stream"])
@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply("It is Oslo."), "The answer is not JSON: 'It is Oslo.'."),
        (Reply('{"name": "Oslo"'), 'The answer is not JSON: \'{"name": "Oslo"\'.'),
        (
            Reply('{"name": 1}', finish_reason="length"),
            "The answer was cut off at the token limit.",
        ),
        (
            Reply('{"name": 1}', finish_reason="content_filter"),
            "The answer was cut off by the content filter.",
        ),
        (Reply(refusal="I would rather not."), "The model refused: I would rather not."),
        (Reply(""), "The answer has no text (finish_reason 'stop')."),
    ],
    ids=["prose", "truncated", "length", "content_filter", "refusal", "empty"],
)
async def test_an_answer_that_is_not_whole_json_is_an_error(
    schema: str, reply: Reply, message: str, way: str
) -> None:
    async with LocalServer() as server:
        server.script(reply)
        assert await ask(server, "--schema", schema, way) == (1, "", f"error: {message}\n")


async def test_a_stream_that_breaks_prints_nothing_of_the_answer(schema: str) -> None:
    async with LocalServer() as server:
        server.script(Failure(cut_after=3))
        code, stdout, stderr = await ask(server, "--schema", schema)
    assert (code, stdout) == (1, "")
    assert stderr.startswith("error: The stream ended before the answer was complete.")


@pytest.mark.parametrize("way", ["--stream", "--no-stream"])
async def test_with_json_the_chunks_or_the_completion_are_printed_and_the_answer_checked(
    schema: str, way: str
) -> None:
    async with LocalServer() as server:
        server.script(Reply("It is Oslo."))
        code, stdout, stderr = await ask(server, "--schema", schema, "--json", way)
    assert code == 1
    objects = {json.loads(line)["object"] for line in stdout.splitlines()}
    assert objects == {"chat.completion" + (".chunk" if way == "--stream" else "")}
    assert json.loads(stderr)["error"]["message"] == "The answer is not JSON: 'It is Oslo.'."


async def test_a_conversation_forgets_an_answer_that_is_not_json_and_goes_on(schema: str) -> None:
    async with LocalServer() as server:
        server.script(Reply("It is Oslo."), Reply('{"name":"Oslo","inhabitants":5}'))
        env = environment(OPENAI_API_KEY="local", OPENAI_BASE_URL=server.url)
        with Terminal("chat", "--schema", schema, env=env) as terminal:
            await asyncio.to_thread(terminal.expect, "> ")
            terminal.send("One\n")
            await asyncio.to_thread(terminal.expect, "The answer is not JSON: 'It is Oslo.'.")
            await asyncio.to_thread(terminal.expect, "> ")
            terminal.send("Two\n")
            await asyncio.to_thread(terminal.expect, '"name": "Oslo"')
            await asyncio.to_thread(terminal.expect, "> ")
            terminal.send("exit\n")
            assert await asyncio.to_thread(terminal.exit_code) == 0
        assert server.requests[1].json["messages"] == [{"role": "user", "content": "Two"}]
        assert server.requests[1].json["response_format"]["type"] == "json_schema"
