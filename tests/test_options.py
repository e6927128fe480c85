"""Options are checked when they are passed."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest
from yarl import URL

from openai_async import AsyncClient, InvalidArgumentError, OpenAIError, RetryPolicy, Timeout
from openai_async.http.urls import MAX_URLS, Urls

BAD_SECONDS = [0, -1, math.nan, math.inf, 10**400, True, "5"]


@pytest.mark.parametrize("value", BAD_SECONDS)
@pytest.mark.parametrize("name", ["total", "connect", "idle"])
def test_an_invalid_timeout_is_named(name: str, value: Any) -> None:
    with pytest.raises(
        InvalidArgumentError, match=f"{name} is .*: pass a positive number of seconds"
    ):
        Timeout(**{name: value})


@pytest.mark.parametrize("value", BAD_SECONDS)
def test_an_invalid_timeout_of_a_client(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="timeout is"):
        AsyncClient(api_key="k", timeout=value)


def test_a_timeout_of_httpx_is_refused_by_naming_ours() -> None:
    with pytest.raises(InvalidArgumentError, match=r"or an openai_async.Timeout\(total=\.\.\., "):
        AsyncClient(api_key="k", timeout=httpx.Timeout(60, connect=5))  # type: ignore[arg-type]


def test_a_number_is_the_total() -> None:
    assert Timeout.of(5) == Timeout(total=5, connect=10, idle=300)


def test_none_waits_forever() -> None:
    assert Timeout.of(None) == Timeout(total=None, connect=None, idle=None)


def test_the_error_without_a_key_says_what_to_set() -> None:
    with pytest.raises(OpenAIError, match="OPENAI_API_KEY"):
        AsyncClient()


@pytest.mark.parametrize(
    "key", ["", "  ", "sk-a\nb", "sk-a\r\nX-Evil: 1", " sk-a", "sk-a ", "sk-a\tb", "sk-é", "sk\x00"]
)
def test_an_invalid_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        AsyncClient(api_key=key)
    assert "sk" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("Bearer sk-abc", 'begins with "Bearer": leave that out'),
        ("bearer  sk-abc", 'begins with "Bearer": leave that out'),
        ("Bearer", 'begins with "Bearer": leave that out'),
        ("Authorization: Bearer sk-abc", "begins with the name of a variable or header: pass"),
        ("OPENAI_API_KEY=sk-abc", "begins with the name of a variable or header: pass"),
        ("export OPENAI_API_KEY = sk-abc", "begins with the name of a variable or header: pass"),
        ("'sk-abc'", "is in quotes: leave them out"),
        ('"sk-abc"', "is in quotes: leave them out"),
    ],
)
def test_a_key_with_a_prefix_or_quotes_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    for api_key in (key, None):
        with pytest.raises(InvalidArgumentError, match=f"The API key {said}") as caught:
            AsyncClient(api_key=api_key)
        assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("key", ["bearer-of-news", "Bearers", "a=b", "it's", "KEY"])
def test_a_key_that_only_looks_like_that_is_accepted(key: str) -> None:
    assert AsyncClient(api_key=key).api_key == key


@pytest.mark.parametrize("key", ["not needed", "My API Key", "a  b", "~!@#$%^&*()_+"])
def test_a_key_may_be_several_words(key: str) -> None:
    assert AsyncClient(api_key=key).api_key == key


def test_an_invalid_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a\n")
    with pytest.raises(InvalidArgumentError, match="strip"):
        AsyncClient()


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1/")
    client = AsyncClient()
    assert client.api_key == "sk-env"
    assert str(client.base_url) == "http://localhost:8000/v1"


def test_an_empty_base_url_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert str(AsyncClient(api_key="k").base_url) == "https://api.openai.com/v1"


def test_what_is_passed_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    assert AsyncClient(api_key="sk-own").api_key == "sk-own"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("localhost:8000/v1", 'like "http://localhost:8000/v1"'),
        ("api.openai.com", 'like "http://api.openai.com"'),
        ("", "base_url"),
        ("ftp://x/v1", "base_url"),
        ("http://", "base_url"),
        ("http://x y/v1", "base_url"),
        ("http://x/v1\r\nHost: y", "base_url"),
        ("http://x:99999/v1", "base_url"),
        ("http://user:pw@x/v1", "default_headers"),
        ("http://:pw@x/v1", "default_headers"),
        ("http://x/v1?a=b", "default_query"),
    ],
)
def test_an_invalid_base_url_raises_an_error_with_advice(url: str, hint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=hint.replace("?", r"\?")):
        AsyncClient(api_key="k", base_url=url)


@pytest.mark.parametrize("value", [5, True, b"http://x/v1", ["http://x/v1"], {}])
def test_a_base_url_of_another_type_is_named(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"has type {type(value).__name__}: pass a str"):
        AsyncClient(api_key="k", base_url=value)


def test_a_url_object_of_another_library_is_a_base_url() -> None:
    class Url:
        def __str__(self) -> str:
            return "http://localhost:8000/v1"

    url: Any = Url()
    assert str(AsyncClient(api_key="k", base_url=url).base_url) == "http://localhost:8000/v1"


@pytest.mark.parametrize("value", [-1, 1.5, True, "2", None])
def test_invalid_max_retries(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="max_retries"):
        AsyncClient(api_key="k", max_retries=value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_invalid_max_connections(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="max_connections"):
        AsyncClient(api_key="k", max_connections=value)


@pytest.mark.parametrize("policy", [{"initial_delay": 0}, {"max_delay": math.nan}, {"budget": -1}])
def test_an_invalid_retry_policy(policy: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(policy))):
        RetryPolicy(**policy)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"},
        {"X Y": "a"},
        {"X": 1},
        {"": "a"},
        [("X", "a")],
        5,
        {"Content-Length": "5"},
        {"transfer-encoding": "chunked"},
        {"Content-Length": None},
        {"Host": None},
        {"X\ud83d": "a"},
        {"X": b"a"},
    ],
)
def test_headers_that_could_inject_others_are_refused(headers: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        AsyncClient(api_key="k", default_headers=headers)


@pytest.mark.parametrize("value", ["half \ud83d end", "\udc00", "a\0", "a\nb"])
def test_a_header_that_cannot_be_sent_is_named(value: str) -> None:
    with pytest.raises(InvalidArgumentError, match="X-Title"):
        AsyncClient(api_key="k", default_headers={"X-Title": value})


def test_an_organization_with_a_line_break_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="OpenAI-Organization"):
        AsyncClient(api_key="k", organization="a\nb")


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://p:1", "", 5])
def test_an_invalid_proxy(proxy: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="proxy is no"):
        AsyncClient(api_key="k", proxy=proxy)


@pytest.mark.parametrize("value", [5, b"org", ["org"]])
@pytest.mark.parametrize("option", ["organization", "project"])
def test_an_id_of_the_wrong_type_is_refused_by_its_option_name(option: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{option} has type .*: pass the id as a str"):
        AsyncClient(api_key="k", **{option: value})


@pytest.mark.parametrize(
    "option",
    [
        {"session": 5},
        {"retry": None},
        {"ssl": 5},
        {"middlewares": None},
        {"middlewares": [5]},
        {"default_query": "a=b"},
        {"organization": 5},
    ],
)
def test_an_option_of_the_wrong_kind_is_named(option: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        AsyncClient(api_key="k", **option)


def test_urls_with_ids_in_them_do_not_fill_the_memory() -> None:
    urls = Urls(URL("http://localhost/v1"), {})
    for number in range(2 * MAX_URLS):
        assert urls.of(f"/files/{number}").path == f"/v1/files/{number}"
    assert len(urls._known) == MAX_URLS


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("http_client", object(), "proxy=, ssl= or session= .* openai_async.adapters.http_client"),
        ("webhook_secret", "whsec", "does not verify webhooks"),
        ("websocket_base_url", "wss://api.test/v1", "opens no WebSockets"),
        ("_strict_response_validation", True, "read leniently"),
    ],
    ids=lambda value: value if isinstance(value, str) else "value",
)
def test_an_option_that_only_the_official_client_has_is_refused_with_advice(
    name: str, value: object, advice: str
) -> None:
    refused: Any = {name: value}
    with pytest.raises(InvalidArgumentError, match=f"^{name} has type .*{advice}"):
        AsyncClient(api_key="k", **refused)
    usual: Any = {name: None}
    AsyncClient(api_key="k", **usual)


def test_the_default_of_strict_response_validation_is_accepted() -> None:
    AsyncClient(api_key="k", _strict_response_validation=False)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (
            "responses",
            r'These endpoints have no methods yet: call request\("POST", "/path"',
        ),
        ("post", r'Call request\("POST", "/path", json=\.\.\.\)'),
    ],
)
def test_an_attribute_of_the_official_client_that_is_missing_says_what_to_use(
    name: str, advice: str
) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'. {advice}"):
        getattr(AsyncClient(api_key="k"), name)


def test_another_attribute_is_missing_as_usual() -> None:
    with pytest.raises(AttributeError, match="^'AsyncClient' object has no attribute 'nope'$"):
        AsyncClient(api_key="k").nope  # type: ignore[attr-defined] # noqa: B018
