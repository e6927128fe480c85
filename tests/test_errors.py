"""From failed responses to exceptions."""

from __future__ import annotations

import copy
import pickle
import re
import time

import pytest
from multidict import CIMultiDict

import openai_async
from openai_async.errors import (
    APIStatusError,
    OpenAIError,
)
from openai_async.wire.codec import body_or_text
from openai_async.wire.failures import (
    object_error,
    retry_after,
    status_error,
)
from openai_async.wire.redaction import redacted

TREE = {
    "OpenAIError": "Exception",
    "InvalidArgumentError": "OpenAIError",
    "APIError": "OpenAIError",
    "APIConnectionError": "APIError",
    "APITimeoutError": "APIConnectionError",
    "StreamInterruptedError": "APIConnectionError",
    "APIResponseValidationError": "APIError",
    "APIStatusError": "APIError",
    "BadRequestError": "APIStatusError",
    "AuthenticationError": "APIStatusError",
    "PermissionDeniedError": "APIStatusError",
    "NotFoundError": "APIStatusError",
    "ConflictError": "APIStatusError",
    "UnprocessableEntityError": "APIStatusError",
    "RateLimitError": "APIStatusError",
    "InsufficientQuotaError": "RateLimitError",
    "InternalServerError": "APIStatusError",
}


@pytest.mark.parametrize(("name", "parent"), TREE.items())
def test_the_tree(name: str, parent: str) -> None:
    assert getattr(openai_async, name).__bases__[0].__name__ == parent


@pytest.mark.parametrize(
    ("body", "text"),
    [({"error": {"message": "no"}}, '{"error": {"message": "no"}}'), ("<html>", "<html>")],
)
def test_the_response_of_an_error_is_under_its_official_names(body: object, text: str) -> None:
    response = status_error(400, CIMultiDict({"X-Request-Id": "req_1"}), body).response
    assert (response.status_code, response.headers["x-request-id"]) == (400, "req_1")
    assert response.text == text
    if isinstance(body, dict):
        assert response.json() == body
    else:
        with pytest.raises(ValueError, match="Expecting value"):
            response.json()


def test_a_wrong_argument_is_a_value_error() -> None:
    assert issubclass(openai_async.InvalidArgumentError, ValueError)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "InternalServerError"),
        (529, "InternalServerError"),
        (418, "APIStatusError"),
        (302, "APIStatusError"),
    ],
)
def test_the_status_says_which(status: int, name: str) -> None:
    error = status_error(status, {}, {"error": {"message": "no"}})
    assert type(error).__name__ == name
    assert error.status_code == status


def test_the_fields_of_an_openai_error() -> None:
    body = {
        "error": {"message": "Bad n.", "type": "invalid_request_error", "param": "n", "code": "x"}
    }
    error = status_error(400, CIMultiDict({"X-Request-Id": "req_1"}), body)
    assert (error.message, error.type, error.param, error.code, error.request_id, error.body) == (
        "HTTP 400: Bad n.",
        "invalid_request_error",
        "n",
        "x",
        "req_1",
        body,
    )


def test_no_credit_is_an_error_of_its_own() -> None:
    error = status_error(429, {}, {"error": {"message": "no", "code": "insufficient_quota"}})
    assert type(error) is openai_async.InsufficientQuotaError


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "plain"}, "plain"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body", "n"], "msg": "too large"}]}, "body.n: too large"),
        ({"object": "error", "message": "flat", "code": 400}, "flat"),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ("just text", "just text"),
        (
            "<html><head><title>502 Bad Gateway</title></head><body>x</body></html>",
            "502 Bad Gateway",
        ),
        ("<!DOCTYPE html><body><h1>Down</h1> &amp; out</body>", "Down & out"),
        ("", "no details were given"),
        (None, "no details were given"),
        ({"error": {"message": None}}, "no details were given"),
        ({"error": {"message": ["a", "b"]}}, "a; b"),
        ({"message": ["model must be a string"], "error": "Bad Request"}, "model must be a string"),
        ({"detail": {"error": {"message": "Loading", "code": "loading"}}}, "Loading"),
        ({"errors": [{"message": "in a list"}]}, "in a list"),
        ({"detail": {"errors": [{"message": "further down"}]}}, "further down"),
        ({"error": {"message": "", "code": "x"}}, "no details were given"),
        ({"reason": "odd"}, "{'reason': 'odd'}"),
        ("\x1b[2Jboom\x07", "[2Jboom"),
    ],
)
def test_every_shape_of_error_body(body: object, message: str) -> None:
    assert status_error(502, {}, body).message == f"HTTP 502: {message}."


def test_a_large_page_makes_a_short_message() -> None:
    error = status_error(500, {}, "<html><body>" + "word " * 5000 + "</body></html>")
    assert len(error.message) < 350


def test_messages_say_what_to_do() -> None:
    assert "OPENAI_API_KEY" in status_error(401, {}, None).message
    assert "model" in status_error(404, {}, None).message
    assert "base_url" in status_error(308, {"location": "https://x/v1"}, None).message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "infinity"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "0.000"}, None),
        ({"retry-after-ms": "0"}, None),
        ({"retry-after-ms": "-5", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "0", "retry-after": "9"}, 9.0),
        ({"retry-after": "86400"}, 86_400.0),
        ({"retry-after": "1900000000"}, None),
        ({"retry-after-ms": "1900000000000"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
    ],
)
def test_how_long_the_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("sk-12345", {"[api_key]": ["Bearer [api_key]", 5]}),
        ("local67", {"local67": ["Bearer local67", 5]}),  # too short to be a key, and a word
    ],
)
def test_a_key_is_removed_wherever_it_occurs(secret: str, shown: object) -> None:
    assert redacted({secret: [f"Bearer {secret}", 5]}, secret) == shown


@pytest.mark.parametrize(
    "form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_a_date_to_wait_for_is_utc_in_each_form(
    form: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        date = time.strftime(form, time.gmtime(time.time() + 100))
        wait = retry_after({"retry-after": date})
    finally:
        monkeypatch.undo()
        time.tzset()
    assert wait is not None
    assert 50 < wait <= 100


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"error": {"message": "m", "code": 400}}, "BadRequestError"),
        ({"error": {"message": "m", "code": "429"}}, "RateLimitError"),
        ({"error": {"message": "m", "type": "server_error"}}, "InternalServerError"),
        ({"error": {"message": "m", "code": "insufficient_quota"}}, "InsufficientQuotaError"),
        ({"error": {"message": "m", "code": "odd"}}, "APIError"),
        ({"error": "text"}, "APIError"),
    ],
)
def test_an_error_object_without_a_status(body: object, name: str) -> None:
    assert type(object_error(body, {})).__name__ == name


@pytest.mark.parametrize(
    "again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_errors_survive_pickling_and_copying(again: object) -> None:
    error = status_error(429, CIMultiDict({"retry-after": "3"}), {"error": {"message": "m"}})
    error.attempts = 3
    twin = again(error)  # type: ignore[operator]
    assert isinstance(twin, APIStatusError)
    assert vars(twin) == vars(error)
    assert str(twin) == str(error)


# --- what may be shown to anyone ---


def every_error() -> list[type[OpenAIError]]:
    found: list[type[OpenAIError]] = []
    todo = [OpenAIError]
    while todo:
        cls = todo.pop()
        found.append(cls)
        todo += [sub for sub in cls.__subclasses__() if sub.__module__ == "openai_async.errors"]
    return found


@pytest.mark.parametrize("cls", every_error())
def test_every_error_has_a_public_message_without_server_details(
    cls: type[OpenAIError],
) -> None:
    error = cls("http://10.0.0.7:8000/v1 said: key sk-0123456789 has no /srv/model")
    assert error.safe_message.endswith(".")
    assert not re.search(r"://|sk-|/|10\.0", error.safe_message)
    assert str(error) != error.safe_message


NO_CREDIT = b'{"error": {"message": "no credit", "code": "insufficient_quota"}}'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (NO_CREDIT, "insufficient_quota"),
        (b"data: " + NO_CREDIT + b"\n\n", "insufficient_quota"),
        (b"event: error\ndata: " + NO_CREDIT, "insufficient_quota"),
        (b': ping\n\ndata: {"message": "no credit", "code": "x"}\n\n', "x"),
        (b"data: no credit\n\n", None),
    ],
)
def test_an_error_that_is_framed_as_an_event_is_read(body: bytes, code: str | None) -> None:
    error = status_error(429, {}, body_or_text(body))
    assert (error.code, "no credit" in error.message) == (code, True)
