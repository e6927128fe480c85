"""The package has the operations, parameters and fields of OpenAI's API, with their types.

The API is in tests/spec/openai.json; spec/differences.py lists where the package differs, and why.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import define, field
from typing_extensions import TypedDict

from openai_async.options import BaseRequestOptions
from openai_async.resources.endpoint import Endpoint
from openai_async.types.base import APIObject, APIResponse

from .spec import make_table
from .spec.differences import LEFT_OUT, NEWER
from .spec.walk import Declared, Walk, declared

LISTS = "tests/spec/differences.py"


@pytest.fixture(scope="module")
def walk() -> Walk:
    walk = Walk()
    walk.operations(declared())
    return walk


def lines(places: set[str], value: str) -> str:
    return "".join(f"\n    {place!r}: {value!r}," for place in sorted(places))


def test_what_the_api_has_is_in_the_package_or_left_out_for_a_reason(walk: Walk) -> None:
    missing = walk.left_out - LEFT_OUT.keys()
    added = lines(missing, "why not")
    assert not missing, f"Declare these, or add to LEFT_OUT in {LISTS}:{added}"


def test_what_the_package_has_is_in_the_api_or_newer_by_a_source(walk: Walk) -> None:
    unknown = walk.newer - NEWER.keys()
    added = lines(unknown, "who has it")
    assert not unknown, f"Correct these, or add to NEWER in {LISTS}:{added}"


@pytest.mark.parametrize("name", ["LEFT_OUT", "NEWER"])
def test_no_entry_of_the_lists_is_outdated(walk: Walk, name: str) -> None:
    listed, found = (LEFT_OUT, walk.left_out) if name == "LEFT_OUT" else (NEWER, walk.newer)
    outdated = listed.keys() - found
    removed = lines(outdated, "...")
    assert not outdated, f"There is no such difference: remove from {name} in {LISTS}:{removed}"


def test_every_entry_of_the_lists_says_why() -> None:
    assert all(reason.strip() for reason in (LEFT_OUT | NEWER).values())


@pytest.mark.parametrize("name", ["POST /chat/completions", "POST /images/generations"])
def test_the_events_of_streams_are_compared_too(name: str) -> None:
    assert declared()[name].events is not None


# --- what the walk finds ------------------------------------------------------------------------


class _Required(TypedDict):
    prompt: str


class PaintParams(_Required, BaseRequestOptions, total=False):
    size: Literal["small", "large"] | None
    tags: list[str]


@define(kw_only=True)
class Pigment(APIObject):
    name: str = ""


@define(kw_only=True)
class Painting(APIResponse):
    id: str = ""
    title: str | None = None
    pigments: list[Pigment] = field(factory=list)


PAINT = Endpoint("paint", "POST", "/paintings", PaintParams, Painting)


def differences(**changes: dict[str, str | None]) -> tuple[set[str], set[str]]:
    """What is left out and what is newer if these fields of the API are changed or removed."""
    objects: dict[str, dict[str, str | None]] = {
        "Paint": {
            "prompt": "Required[str]",
            "size": 'Literal["small", "large"] | None',
            "tags": "list[str]",
        },
        "Painting": {"id": "Required[str]", "title": "str", "pigments": "list[Pigment]"},
        "Pigment": {"name": "Required[str]"},
    }
    for name, fields in changes.items():
        changed = objects[name] | fields
        objects[name] = {key: value for key, value in changed.items() if value is not None}
    operation = {"media": "application/json", "body": "Paint", "answer": "Painting"}
    walk = Walk({"operations": {"POST /paintings": operation}, "objects": objects})
    walk.operations({"POST /paintings": Declared(PAINT)})
    return walk.left_out, walk.newer


def test_declarations_like_the_api_do_not_differ() -> None:
    assert differences() == (set(), set())


@pytest.mark.parametrize(
    ("changes", "left_out", "newer"),
    [
        ({"Paint": {"seed": "int"}}, {"Paint.seed"}, set()),
        ({"Paint": {"tags": None}}, set(), {"Paint.tags"}),
        ({"Paint": {"tags": "Required[list[str]]"}}, {"Paint.tags: Required"}, set()),
        ({"Paint": {"prompt": "str"}}, set(), {"Paint.prompt: Required"}),
        ({"Paint": {"prompt": "Required[str | None]"}}, {"Paint.prompt: None"}, set()),
        ({"Paint": {"tags": "list[int]"}}, {"Paint.tags[]: int"}, {"Paint.tags[]: str"}),
        (
            {"Paint": {"size": 'Literal["small", "huge"] | None'}},
            {'Paint.size: "huge"'},
            {'Paint.size: "large"'},
        ),
        ({"Painting": {"price": "float"}}, {"Painting.price"}, set()),
        ({"Painting": {"id": "str"}}, {"Painting.id: None"}, set()),
        ({"Painting": {"title": "int"}}, {"Painting.title: int"}, {"Painting.title: str"}),
        ({"Pigment": {"name": None, "code": "str"}}, {"Pigment.code"}, {"Pigment.name"}),
    ],
    ids=lambda value: None if isinstance(value, set) else str(value),
)
def test_a_change_of_the_api_is_a_difference(
    changes: Any, left_out: set[str], newer: set[str]
) -> None:
    assert differences(**changes) == (left_out, newer)


def test_an_answer_may_have_none_where_a_server_may_omit_what_the_api_requires() -> None:
    assert differences(Painting={"title": "Required[str]"}) == (set(), set())


# --- how the table is made ----------------------------------------------------------------------


def test_the_table_is_made_from_an_openapi_file(tmp_path: Path) -> None:
    named = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
    parameters = {
        "type": "object",
        "required": ["input"],
        "properties": {
            "input": {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/Named"}]},
            "format": {"type": "string", "enum": ["a", "b"], "nullable": True},
            "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "after": {"type": "object", "properties": {"seconds": {"type": "integer"}}},
            "model": {"anyOf": [{"type": "string"}, {"type": "string", "enum": ["one"]}]},
        },
    }
    operation = {
        "requestBody": {"content": {"application/json": {"schema": {"allOf": [parameters]}}}},
        "responses": {
            "200": {"content": {"application/json": {"schema": {"type": "array", "items": named}}}}
        },
    }
    document = {
        "paths": {"/images/edits": {"post": operation}, "/other": {"post": operation}},
        "components": {"schemas": {"Named": named}},
    }
    (source := tmp_path / "openapi.json").write_text(json.dumps(document))
    (script := tmp_path / "make_table.py").write_text(Path(make_table.__file__).read_text())
    subprocess.run([sys.executable, script, source], check=True)
    assert json.loads((tmp_path / "openai.json").read_text()) == {
        "operations": {
            "POST /images/edits": {
                "media": "application/json",
                "body": "POST_images_edits_body",
                "answer": "list[POST_images_edits_answer]",
            }
        },
        "objects": {
            "Named": {"id": "Required[str]"},
            "POST_images_edits_answer": {"id": "Required[str]"},
            "POST_images_edits_body": {
                "input": "Required[str | Named]",
                "format": 'Literal["a", "b"] | None',
                "file": "list[bytes]",
                "after": "POST_images_edits_body.after",
                "model": "str",
            },
            "POST_images_edits_body.after": {"seconds": "int"},
        },
    }
