"""An endpoint's declaration is all that a method knows about its keywords and its path."""

from __future__ import annotations

import pytest

from openai_async import InvalidArgumentError
from openai_async.options import REQUEST_OPTIONS
from openai_async.resources import chat, images, models


def test_the_required_parameters_are_those_of_the_typed_dict() -> None:
    assert chat.CREATE.required == {"messages", "model"}
    assert images.GENERATE.required == {"prompt"}
    assert models.LIST.required == frozenset()


def test_every_endpoint_knows_the_options_of_a_call() -> None:
    assert models.LIST.known == REQUEST_OPTIONS
    assert chat.CREATE.known > REQUEST_OPTIONS


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"model": "m"}, r"create\(\) missing 1 required keyword-only argument: 'messages'"),
        ({"model": "m", "messages": [], "sed": 1}, "unexpected keyword argument 'sed'.*'seed'"),
    ],
)
def test_a_wrong_keyword_is_a_type_error_that_names_it(
    params: dict[str, object], said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        chat.CREATE.check(params)


def test_an_id_is_one_segment_of_the_path() -> None:
    assert models.RETRIEVE.path_for({"model": "meta/llama 3"}) == "/models/meta%2Fllama%203"
    assert models.RETRIEVE.path_for({"model": "{model}"}) == "/models/%7Bmodel%7D"
    with pytest.raises(InvalidArgumentError, match="model is '': pass the id as a string"):
        models.RETRIEVE.path_for({"model": ""})
