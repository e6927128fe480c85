"""`NOT_GIVEN` and `omit`, this package's and the official ones, stand for "not passed" everywhere.

The official ones are imported if `openai` is installed. Classes of the same name and module stand
in for them in an interpreter that must not import it.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest

from openai_async import (
    NOT_GIVEN,
    AsyncClient,
    InvalidArgumentError,
    NotGiven,
    Omit,
    Request,
    Response,
    omit,
)
from openai_async.http.multipart import Multipart
from openai_async.jsontext import loads

MESSAGES: Any = [{"role": "user", "content": "Hi"}]


class Pretended:
    """A sentinel as the official module defines it."""

    def __bool__(self) -> bool:
        return False


def official(name: str) -> Any:
    return type(name, (Pretended,), {"__module__": "openai"})()


SENTINELS = {
    "ours, NOT_GIVEN": NOT_GIVEN,
    "ours, omit": omit,
    "theirs, NOT_GIVEN": official("NotGiven"),
    "theirs, omit": official("Omit"),
}
OMITS = {name: value for name, value in SENTINELS.items() if name.endswith("omit")}
each = pytest.mark.parametrize("left_out", SENTINELS.values(), ids=SENTINELS)
each_omit = pytest.mark.parametrize("left_out", OMITS.values(), ids=OMITS)


class Recorded:
    """A client whose requests are answered here, and the last of them."""

    request: Request

    def __init__(self) -> None:
        async def answer(request: Request, send: object) -> Response:
            self.request = request
            body = b'{"object": "list", "data": [], "choices": [], "id": "x"}'
            return Response(status=200, headers={}, body=body)

        self.client = AsyncClient(
            api_key="k",
            base_url="https://api.test/v1",
            default_headers={"X-Team": "search"},
            default_query={"version": "1"},
            middlewares=[answer],
            timeout=7,
        )

    @property
    def body(self) -> Any:
        assert isinstance(self.request.body, bytes)
        return loads(self.request.body)


@pytest.fixture
async def recorded() -> AsyncIterator[Recorded]:
    made = Recorded()
    async with made.client:
        yield made


@each
async def test_a_parameter_is_left_out(recorded: Recorded, left_out: Any) -> None:
    await recorded.client.chat.completions.create(
        model="m",
        messages=MESSAGES,
        temperature=left_out,
        tools=left_out,
        response_format=left_out,
        stream=left_out,
        extra_body=left_out,
    )
    assert recorded.body == {"model": "m", "messages": MESSAGES}
    assert "temperature" not in (recorded.request.params or {})


@each
async def test_a_value_inside_a_parameter_is_left_out(recorded: Recorded, left_out: Any) -> None:
    image = {"url": "https://pictures.test/cat.png", "detail": left_out}
    content = [{"type": "image_url", "image_url": image}, left_out]
    messages: Any = [{"role": "user", "name": left_out, "content": content}]
    await recorded.client.chat.completions.create(
        model="m", messages=messages, extra_body={"top_k": left_out, "min_p": 0.1}
    )
    sent = [{"type": "image_url", "image_url": {"url": "https://pictures.test/cat.png"}}]
    assert recorded.body == {
        "model": "m",
        "messages": [{"role": "user", "content": sent}],
        "min_p": 0.1,
    }


@each
async def test_a_required_parameter_must_be_passed(recorded: Recorded, left_out: Any) -> None:
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'messages'"):
        await recorded.client.chat.completions.create(model="m", messages=left_out)


@each
async def test_the_options_of_a_call_are_those_of_the_client(
    recorded: Recorded, left_out: Any
) -> None:
    await recorded.client.chat.completions.create(
        model="m",
        messages=MESSAGES,
        timeout=left_out,
        max_retries=left_out,
        extra_headers=left_out,
        extra_query=left_out,
    )
    assert (recorded.request.timeout.total, recorded.request.max_retries) == (7, 2)
    assert recorded.request.headers["X-Team"] == "search"


@each
async def test_the_query_of_a_list_is_left_out(recorded: Recorded, left_out: Any) -> None:
    await recorded.client.files.list(after=left_out, limit=3, extra_query={"page": left_out})
    assert dict(recorded.request.url.query) == {"version": "1", "limit": "3"}


@each
async def test_parse_without_a_type(recorded: Recorded, left_out: Any) -> None:
    completion = await recorded.client.chat.completions.parse(
        model="m", messages=MESSAGES, response_format=left_out
    )
    assert completion.parsed is None
    assert "response_format" not in recorded.body


@each
def test_a_field_of_a_form_is_left_out(left_out: Any) -> None:
    with_it = Multipart({"purpose": "batch", "user": left_out, "tags": ["a", left_out]})
    assert with_it._fields == Multipart({"purpose": "batch", "tags": ["a"]})._fields


@each_omit
async def test_omit_removes_a_default_header(recorded: Recorded, left_out: Any) -> None:
    await recorded.client.models.list(
        extra_headers={"X-Team": left_out, "Authorization": left_out, "X-Other": "1"}
    )
    assert "X-Team" not in recorded.request.headers
    assert {"x-team", "authorization"} <= recorded.request.removed
    assert recorded.request.headers["X-Other"] == "1"


@each_omit
async def test_omit_in_default_headers(recorded: Recorded, left_out: Any) -> None:
    client = AsyncClient(default_headers={"Authorization": left_out, "Accept": left_out})
    assert (client.api_key, {*client._removed}) == ("", {"authorization", "accept"})


@each_omit
async def test_omit_removes_a_default_parameter_of_the_query(
    recorded: Recorded, left_out: Any
) -> None:
    await recorded.client.models.list(extra_query={"version": left_out})
    assert not recorded.request.url.query
    await recorded.client.files.list(extra_query={"version": left_out})
    assert not recorded.request.url.query


@pytest.mark.parametrize(
    "left_out", [NOT_GIVEN, SENTINELS["theirs, NOT_GIVEN"]], ids=["ours", "theirs"]
)
async def test_a_header_that_is_not_given_keeps_its_default(
    recorded: Recorded, left_out: Any
) -> None:
    await recorded.client.models.list(extra_headers={"X-Team": left_out})
    assert recorded.request.headers["X-Team"] == "search"


@each
def test_the_options_of_a_client_have_their_defaults(
    left_out: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    client = AsyncClient(
        api_key=left_out,
        base_url=left_out,
        organization=left_out,
        timeout=left_out,
        max_retries=left_out,
        default_headers=left_out,
        default_query={"version": left_out},
        http_client=left_out,
    )
    usual = AsyncClient()
    assert (client.api_key, client.base_url) == ("from-environment", usual.base_url)
    assert (client.timeout, client.max_retries) == (usual.timeout, usual.max_retries)


@each
def test_with_options_keeps_what_is_left_out(recorded: Recorded, left_out: Any) -> None:
    copied = recorded.client.with_options(timeout=left_out, max_retries=5)
    assert (copied.timeout.total, copied.max_retries) == (7, 5)


async def test_a_class_of_the_same_name_elsewhere_is_no_sentinel(recorded: Recorded) -> None:
    class NotGiven:
        pass

    value: Any = NotGiven()
    with pytest.raises(InvalidArgumentError, match="temperature has type NotGiven"):
        await recorded.client.chat.completions.create(
            model="m", messages=MESSAGES, temperature=value
        )


def test_the_installed_official_sentinels_are_the_ones_that_are_recognized() -> None:
    openai = pytest.importorskip("openai")
    client = AsyncClient(api_key="k", timeout=openai.NOT_GIVEN, max_retries=openai.not_given)
    assert (client.timeout, client.max_retries) == (AsyncClient(api_key="k").timeout, 2)
    removed = AsyncClient(default_headers={"Authorization": openai.Omit(), "Accept": openai.omit})
    assert {*removed._removed} == {"authorization", "accept"}
    assert pickle.loads(pickle.dumps(removed))._removed == removed._removed


def test_sentinels_can_be_copied_and_pickled() -> None:
    for one in (NOT_GIVEN, omit):
        for twin in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
            assert type(twin) is type(one)
            assert not twin
    assert (repr(NotGiven()), repr(Omit())) == ("NOT_GIVEN", "omit")
