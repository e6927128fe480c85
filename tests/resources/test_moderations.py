"""`client.moderations`"""

from __future__ import annotations

from typing import Any

import pytest

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
    InvalidArgumentError,
    NotFoundError,
    image_part,
)
from openai_async.testing import LocalServer, Reply
from openai_async.types.moderations import Categories, Moderation

pytestmark = pytest.mark.virtual_time

CATEGORIES = {
    "harassment": True,
    "harassment/threatening": True,
    "hate": False,
    "hate/threatening": False,
    "illicit": None,
    "illicit/violent": None,
    "self-harm": True,
    "self-harm/instructions": False,
    "self-harm/intent": True,
    "sexual": False,
    "sexual/minors": False,
    "violence": False,
    "violence/graphic": True,
    "spam/links": True,
}


def answer(*results: dict[str, Any]) -> dict[str, Any]:
    return {"id": "modr-1", "model": "m", "results": [*results]}


async def test_create(client: AsyncClient, server: LocalServer) -> None:
    response = await client.moderations.create(model="omni-moderation-latest", input="I kill you.")
    (result,) = response.results
    assert result.flagged
    assert (result.categories.violence, result.categories.hate) == (True, False)
    assert result.category_scores.violence > 0.9 > 0.1 > result.category_scores.hate
    assert result.category_applied_input_types.violence == ["text"]
    assert (response.model, response.meta.status) == ("omni-moderation-latest", 200)
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/moderations")
    assert request.json == {"model": "omni-moderation-latest", "input": "I kill you."}


async def test_each_text_has_its_own_result(client: AsyncClient) -> None:
    response = await client.moderations.create(input=["Good morning!", "You idiot."])
    assert [result.flagged for result in response.results] == [False, True]


async def test_text_and_pictures_are_one_input(client: AsyncClient, server: LocalServer) -> None:
    picture = await image_part("https://example.com/cat.png")
    response = await client.moderations.create(input=[{"type": "text", "text": "A cat"}, picture])
    (result,) = response.results
    assert result.category_applied_input_types.violence == ["image", "text"]
    assert result.category_applied_input_types.hate == ["text"]
    assert server.requests[0].json["input"][1]["image_url"]["url"] == "https://example.com/cat.png"


async def test_every_category_is_an_attribute_and_others_are_in_extra(
    client: AsyncClient, server: LocalServer
) -> None:
    sent = answer({"flagged": True, "categories": CATEGORIES})
    server.script(Reply(json=sent))
    response = await client.moderations.create(input="Hi")
    found = response.results[0].categories
    for category, value in CATEGORIES.items():
        if category != "spam/links":
            assert getattr(found, category.replace("/", "_").replace("-", "_")) is value
    assert found.extra == {"spam/links": True}
    assert response.to_dict() == sent
    found.self_harm_intent = False
    assert response.to_dict()["results"][0]["categories"]["self-harm/intent"] is False


def test_categories_built_by_hand_have_the_names_of_the_api() -> None:
    result = Moderation(flagged=True, categories=Categories(violence_graphic=True))
    assert result.to_dict()["categories"]["violence/graphic"] is True


@pytest.mark.parametrize(
    "sent",
    [
        answer(),
        answer({"flagged": True}),
        answer({"flagged": True}, {"flagged": False}, {"flagged": False}),
        # "Not flagged" is not what this says.
        answer({"flagged": True}, {"flagged": None}),
        answer({"flagged": True}, {"categories": {}}),
        {"results": None},
    ],
)
async def test_a_missing_result_is_an_error(
    client: AsyncClient, server: LocalServer, sent: dict[str, Any]
) -> None:
    server.script(Reply(json=sent))
    with pytest.raises(APIResponseValidationError, match="results where 2 were expected"):
        await client.moderations.create(input=["a", "b"])


async def test_a_failure_is_raised(client: AsyncClient) -> None:
    with pytest.raises(NotFoundError, match="'gpt-0' does not exist"):
        await client.moderations.create(model="gpt-0", input="Hi")


@pytest.mark.parametrize(
    ("input", "message"),
    [
        ("", "input is empty, which the API refuses: pass a text."),
        ([], "input is an empty list: pass a string, or at least one item."),
        (["a", ""], "input[1] is empty, which the API refuses: omit it."),
        (None, "input has type NoneType: pass a string, or a list of strings."),
        ({"type": "text", "text": "a"}, "input has type dict: pass a string, or a list of strings"),
        ([5], "input[0] has type int: pass a string, or a part like those of image_part(...)."),
        ([{"text": "a"}], "input[0] has type dict: pass a string, or a part like those of"),
        (["a", {"type": "text", "text": "b"}], "input[1] and input[0] differ in kind"),
    ],
)
async def test_bad_input_is_refused_before_anything_is_sent(
    client: AsyncClient, server: LocalServer, input: Any, message: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await client.moderations.create(input=input)
    assert str(caught.value).startswith(message)
    assert not server.requests


async def test_a_forgotten_await_is_named(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match="write `await image_part"):
        await client.moderations.create(input=[image_part("cat.png")])  # type: ignore[list-item]
