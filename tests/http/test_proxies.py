"""`AsyncClient(trust_env=True)`: the proxies of the environment."""

from __future__ import annotations

import base64
import copy
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from openai_async import APIConnectionError, AsyncClient, InvalidArgumentError
from openai_async.http.proxy import Proxies

from ..raw_server import Exchange, RawServer
from .test_connections import everything_said
from .test_direct import direct as direct  # a fixture: the paths of direct exchanges

API = "http://api.test/v1"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def netrc(tmp_path: Path) -> Path:
    return tmp_path / "netrc"


async def ok(exchange: Exchange) -> None:
    await exchange.whole(b'{"data": []}')


def chosen(url: str, proxy: str | None = None) -> str:
    found = Proxies(proxy, trust_env=True).of(URL(url)).url
    return "none" if found is None else str(found).rstrip("/")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# --- which one ---


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, "https://api.test", "none"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://api.test", "http://p:1"),
        ({"https_proxy": "http://p:1"}, "https://api.test", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://api.test", "none"),
        ({"HTTP_PROXY": "http://p:1"}, "http://api.test", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://api.test", "none"),
        ({"ALL_PROXY": "http://p:1"}, "https://api.test", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "https://api.test", "http://q:2"),
        ({"HTTPS_PROXY": "p:1"}, "https://api.test", "http://p:1"),
        ({"HTTPS_PROXY": ""}, "https://api.test", "none"),
        ({"ALL_PROXY": "socks5://s:1", "HTTPS_PROXY": "http://p:1", "HTTP_PROXY": "p:1"}, API, "http://p:1"),
        ({"HTTP_PROXY": "http://user:pw@p:1"}, API, "http://p:1"),
    ],
    ids=str,
)  # fmt: skip
def test_the_proxy_for_the_scheme_of_the_url_is_used(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, expected: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert chosen(url) == expected


@pytest.mark.parametrize(
    ("exempt", "url", "used"),
    [
        ("api.test", "https://api.test", False),
        ("API.test", "https://api.TEST", False),
        ("test", "https://api.test", False),
        (".test", "https://api.test", False),
        ("other.test, api.test", "https://api.test", False),
        ("*", "https://api.test", False),
        ("api.test:8443", "https://api.test:8443", False),
        ("api.test:8443", "https://api.test", True),
        ("i.test", "https://api.test", True),
        ("127.0.0.1", "https://127.0.0.1:8000", False),
        ("::1", "https://[::1]:8000", False),
        ("[::1]", "https://[::1]:8000", False),
        ("[::1]", "https://[::1]", False),
        ("[::1]:8000", "https://[::1]:8000", False),
        ("[::1]:8000", "https://[::1]:9000", True),
        ("bücher.test:8443", "https://bücher.test:8443", False),
        ("10.0.0.0/8", "https://10.0.0.1", True),
        ("*.test", "https://api.test", True),
        ("", "https://api.test", True),
    ],
)
def test_no_proxy_names_hosts_and_domains(
    monkeypatch: pytest.MonkeyPatch, exempt: str, url: str, used: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert chosen(url) == ("http://p:1" if used else "none")


def test_a_proxy_that_is_passed_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    monkeypatch.setenv("NO_PROXY", "*")
    assert chosen("https://api.test", "http://mine:2") == "http://mine:2"


def test_without_trust_env_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://not-even-valid")
    assert Proxies(None, trust_env=False).of(URL("https://api.test")).url is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("value", ["socks5://user:s3cret@p:1", "http://", "http://[user:s3cret@p"])
def test_an_unsupported_proxy_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidArgumentError, match=f"{name.upper()} is not an http") as caught:
        AsyncClient(api_key="k", trust_env=True)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_trust_env_is_true_or_false(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="trust_env is .*: pass True or False"):
        AsyncClient(api_key="k", trust_env=value)


# --- requests ---


async def test_requests_go_through_the_proxy_with_its_password(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch, direct: list[str]
) -> None:
    raw.answer = ok
    monkeypatch.setenv("HTTP_PROXY", f"http://user:s3cret@127.0.0.1:{raw.port}")
    async with AsyncClient(base_url=API, api_key="key", trust_env=True) as client:
        for _ in range(2):
            await client.models.list()
    assert raw.exchanges[1].head.startswith("GET http://api.test/v1/models ")
    assert raw.exchanges[1].headers["proxy-authorization"] == basic("user", "s3cret")
    assert raw.exchanges[1].headers["authorization"] == "Bearer key"
    assert direct == []


async def test_requests_to_an_exempt_host_are_sent_directly(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch, direct: list[str]
) -> None:
    raw.answer = ok
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with AsyncClient(base_url=raw.url, api_key="key", trust_env=True) as client:
        for _ in range(2):
            await client.models.list()
    assert direct == ["/models"]
    assert raw.exchanges[1].head.startswith("GET /v1/models ")


async def test_the_environment_is_read_when_the_client_is_created(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.answer = ok
    monkeypatch.setenv("HTTP_PROXY", raw.url)
    async with AsyncClient(base_url=API, api_key="key", trust_env=True) as client:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        await client.with_options(timeout=5).models.list()
    assert len(raw.exchanges) == 1


def unpickled(client: AsyncClient) -> AsyncClient:
    return pickle.loads(pickle.dumps(client))  # type: ignore[no-any-return]


@pytest.mark.parametrize("made", [unpickled, copy.deepcopy])
async def test_a_client_in_another_process_uses_the_proxies_of_its_environment(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch, made: Any
) -> None:
    raw.answer = ok
    client = AsyncClient(base_url=API, api_key="key", trust_env=True)
    monkeypatch.setenv("HTTP_PROXY", raw.url)
    async with made(client) as copied:
        await copied.models.list()
    assert len(raw.exchanges) == 1


async def test_no_error_shows_the_password_of_a_proxy_of_the_environment(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(exchange: Exchange) -> None:
        said = basic("user", "s3cret") + " s3cret"
        await exchange.whole(said.encode(), status="407 Proxy Authentication Required")

    raw.answer = refuse
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:s3cret@127.0.0.1:{raw.port}")
    async with AsyncClient(
        base_url="https://api.test/v1", api_key="key", trust_env=True, max_retries=0
    ) as client:
        with pytest.raises(APIConnectionError, match="proxy on the way to https://api.test") as e:
            await client.models.list()
    said = everything_said(e.value) + repr(client)
    assert "s3cret" not in said
    assert basic("user", "s3cret") not in said


# --- ~/.netrc ---


async def test_netrc_has_the_password_of_the_proxy_but_never_replaces_the_api_key(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch, netrc: Path
) -> None:
    raw.answer = ok
    netrc.write_text("machine 127.0.0.1 login me password pw\nmachine api.test login x password y")
    monkeypatch.setenv("HTTP_PROXY", raw.url)
    async with AsyncClient(base_url=API, api_key="key", trust_env=True) as client:
        await client.models.list()
        await client.models.list(extra_headers={"Authorization": None})
    first, second = (exchange.headers for exchange in raw.exchanges)
    assert first["authorization"] == "Bearer key"
    assert "authorization" not in second
    assert first["proxy-authorization"] == basic("me", "pw")


async def test_the_account_in_netrc_is_the_user_if_there_is_no_login(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch, netrc: Path
) -> None:
    raw.answer = ok
    netrc.write_text("machine 127.0.0.1 account me password pw")
    monkeypatch.setenv("HTTP_PROXY", raw.url)
    async with AsyncClient(base_url=API, api_key="key", trust_env=True) as client:
        await client.models.list()
    sent = raw.exchanges[0].headers
    assert sent["proxy-authorization"] == basic("me", "pw")
    assert sent["authorization"] == "Bearer key"


def test_netrc_is_not_asked_for_a_proxy_that_has_its_own_password(
    monkeypatch: pytest.MonkeyPatch, netrc: Path
) -> None:
    netrc.write_text("default login other password other")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cret@p:1")
    token = basic("user", "s3cret").removeprefix("Basic ")
    assert Proxies(None, trust_env=True).secrets == ("s3cret", token)


def test_a_netrc_that_cannot_be_read_is_logged_without_its_text(
    monkeypatch: pytest.MonkeyPatch, netrc: Path, caplog: pytest.LogCaptureFixture
) -> None:
    netrc.write_text("machine p login me passwrd s3cret")
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    with caplog.at_level(logging.WARNING):
        assert Proxies(None, trust_env=True).secrets == ()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot read" in caplog.text
    assert "s3cret" not in caplog.text
