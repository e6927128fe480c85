"""Meta data: rate limits, durations, pickling."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import attrs
import pytest
from attrs import define, field
from multidict import CIMultiDict, CIMultiDictProxy

from openai_async.types import embeddings, images, models, moderations  # noqa: F401 - so that their classes are there
from openai_async.types.base import APIObject, APIResponse, ResponseMeta, note_change
from openai_async.types.chat import ChatCompletion, Custom, Function
from openai_async.types.rate_limits import RateLimits, parse_duration
from openai_async.types.structuring import structurer
from openai_async.types.values import key_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("1h2m3s", 3723.0),
        ("1.5s", 1.5),
        ("2d", 172800.0),
        ("59.5", 59.5),
        ("0s", 0.0),
        ("", None),
        ("soon", None),
        ("1x", None),
        ("-1s", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert (
        parse_duration(text) == pytest.approx(seconds)
        if seconds
        else parse_duration(text) == seconds
    )


def test_rate_limits_from_headers() -> None:
    headers = CIMultiDict(
        {
            "x-ratelimit-limit-requests": "60",
            "X-RateLimit-Remaining-Requests": "59",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-limit-tokens": "many",
            "x-ratelimit-reset-tokens": "6m0s",
        }
    )
    assert RateLimits.from_headers(headers) == RateLimits(
        limit_requests=60, remaining_requests=59, reset_requests=1.0, reset_tokens=360.0
    )


def test_no_rate_limits() -> None:
    assert ResponseMeta().rate_limits is None


def test_meta_survives_pickling_and_copying() -> None:
    meta = ResponseMeta(
        status=200, headers=CIMultiDictProxy(CIMultiDict({"X-Request-Id": "r"})), attempts=2
    )
    for twin in (pickle.loads(pickle.dumps(meta)), copy.deepcopy(meta)):
        assert twin.request_id == "r"
        assert twin.attempts == 2


def below(cls: type[APIObject]) -> list[type[APIObject]]:
    """The package's subclasses of `cls`, without their twins and those that attrs replaced."""
    found = [sub for direct in cls.__subclasses__() for sub in (direct, *below(direct))]
    made = [sub for sub in found if {"__slots__", "__attrs_attrs__"} <= vars(sub).keys()]
    own = [sub for sub in made if sub.__module__.startswith("openai_async.")]
    return [sub for sub in own if not getattr(sub, "__parameters__", ())]  # generic: never made


CLASSES = [cls for cls in below(APIObject) if cls is not APIResponse]


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if not getattr(cls, "__parameters__", ())])
def test_every_class_can_be_made_of_an_empty_object(cls: type[APIObject]) -> None:
    """As if by hand; and changing it is noted, though what makes it goes past the hook for that."""
    made = structurer(cls)({})
    assert type(made) is cls
    assert made == cls()
    assert repr(made) == repr(cls())
    in_json = {a.name for a in attrs.fields(cls) if a.init}
    for name in cls.__annotations__:
        if name in in_json and not name.startswith("_"):
            setattr(made, name, "changed")
            assert made.to_dict()[key_of(cls, name)] == "changed"


def test_objects_of_different_classes_are_not_equal() -> None:
    assert Function() != Custom()
    assert Function() != {"name": "", "arguments": ""}


def test_a_response_object_has_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(Function())


def test_from_dict_makes_what_to_dict_gives_back() -> None:
    data = {"id": "c", "choices": [{"message": {"content": "Hi"}}], "vendor": 1}
    completion = ChatCompletion.from_dict(MappingProxyType(data))
    assert (completion.text, completion.extra) == ("Hi", {"vendor": 1})
    assert completion.to_dict() == data


def test_changing_an_object_leaves_the_dict_that_it_was_made_of() -> None:
    data = {"id": "c", "choices": []}
    ChatCompletion.from_dict(data).id = "changed"
    assert data["id"] == "c"


@pytest.mark.parametrize("data", [None, [], "text", {"choices": "none"}])
def test_from_dict_refuses_what_is_not_such_an_object(data: Any) -> None:
    with pytest.raises(ValueError, match="was expected"):
        ChatCompletion.from_dict(data)


# --- fields with another name in the JSON ---


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Part(APIObject):
    pass


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Renamed(APIObject):
    _keys: ClassVar[Mapping[str, str]] = {"self_harm": "self-harm", "sub_parts": "sub/parts"}

    self_harm: bool = False
    sub_parts: list[Part] = field(factory=list)


def test_a_field_is_read_from_its_key_and_written_to_it() -> None:
    data = {"self-harm": True, "sub/parts": [{"a": 1}], "vendor": 2}
    made = Renamed.from_dict(data)
    assert (made.self_harm, made.sub_parts[0].extra, made.extra) == (True, {"a": 1}, {"vendor": 2})
    assert made.to_dict() == data
    made.self_harm = False
    made.sub_parts.append(Part())
    assert made.to_dict() == {"self-harm": False, "sub/parts": [{"a": 1}, {}], "vendor": 2}


def test_an_object_built_by_hand_has_the_keys_of_the_json() -> None:
    assert Renamed(self_harm=True).to_dict() == {"self-harm": True, "sub/parts": []}


def test_a_key_spelled_like_the_attribute_is_another_field() -> None:
    made = Renamed.from_dict({"self_harm": True})
    assert (made.self_harm, made.extra) == (False, {"self_harm": True})


def test_a_misfit_under_another_name_is_in_extra() -> None:
    made = Renamed.from_dict({"self-harm": "very"})
    assert (made.self_harm, made.extra) == (False, {"self-harm": "very"})


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class First(APIObject):
    _keys: ClassVar[Mapping[str, str]] = {"kind": "@type"}

    kind: Literal["first"] = "first"


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Second(APIObject):
    _keys: ClassVar[Mapping[str, str]] = {"kind": "@type"}

    kind: Literal["second"] = "second"


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Both(APIObject):
    parts: list[First | Second] = field(factory=list)


def test_members_of_a_union_are_told_apart_by_the_key_of_their_tag() -> None:
    made = Both.from_dict({"parts": [{"@type": "second"}, {"@type": "first"}]})
    assert [type(part) for part in made.parts] == [Second, First]
