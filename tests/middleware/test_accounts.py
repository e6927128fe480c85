"""What is learned about a server and an account is shared by its clients, and by no others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openai_async import AsyncClient, InternalServerError, RateLimit, RateLimitError, RetryPolicy
from openai_async.middleware.accounts import GENERATION, ByAccount
from openai_async.testing import Failure, LocalServer

pytestmark = pytest.mark.virtual_time

HELLO: Any = [{"role": "user", "content": "Hello"}]


class Vault:
    """Gives keys; has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __call__(self) -> str:
        return "k"

    def key(self) -> str:
        return "k"


def one() -> str:
    return "k"


def two() -> str:
    return "k"


VAULT = Vault()

SAME: list[dict[str, Any]] = [
    {"timeout": 5},
    {"max_retries": 1},
    {"api_key": "k"},
    {"default_query": {"a": "b"}},
    {"default_headers": {"X-Team": "search"}},
]
OTHER: list[dict[str, Any]] = [
    {"api_key": "another"},
    {"api_key": one},
    {"organization": "org-2"},
    {"project": "proj-2"},
    {"default_headers": {"Authorization": "Bearer other"}},
    {"default_headers": {"x-api-key": "other"}},
    {"default_headers": {"openai-organization": "org-3"}},
    {"base_url": "other server"},
]


async def refused_twice(client: AsyncClient) -> None:
    """What takes 5 tokens of the budget, if there are any, in one retry."""
    with pytest.raises(InternalServerError):
        await client.models.list(max_retries=1)


async def copy_of(client: AsyncClient, changes: dict[str, Any], other: LocalServer) -> AsyncClient:
    return client.with_options(
        **{**changes, **({"base_url": other.url} if "base_url" in changes else {})}
    )


@pytest.mark.parametrize(("changes", "shared"), [*((c, 1) for c in SAME), *((c, 0) for c in OTHER)])
async def test_the_retry_budget_belongs_to_a_server_and_an_account(
    server: LocalServer, changes: dict[str, Any], shared: bool
) -> None:
    policy = RetryPolicy(budget=5)
    async with (
        LocalServer() as second,
        AsyncClient(base_url=server.url, api_key="k", retry=policy) as client,
    ):
        for each in (server, second):
            each.script(Failure(500), times=10)
        await refused_twice(client)
        copied = await copy_of(client, changes, second)
        await refused_twice(copied)
        sent = 20 - server.pending - second.pending
        assert sent == (3 if shared else 4)


@pytest.mark.parametrize(("changes", "shared"), [*((c, 1) for c in SAME), *((c, 0) for c in OTHER)])
async def test_a_429_holds_up_its_own_server_and_account_only(
    server: LocalServer,
    changes: dict[str, Any],
    shared: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr("openai_async.middleware.pacing.base.monotonic", loop.time)
    monkeypatch.setattr("openai_async.middleware.pacing.local.monotonic", loop.time)
    async with (
        LocalServer() as second,
        AsyncClient(base_url=server.url, api_key="k", rate_limit=RateLimit()) as client,
    ):
        server.script(Failure(429, headers={"retry-after": "30"}))
        copied = await copy_of(client, changes, second)
        with pytest.raises(RateLimitError):
            await client.chat.completions.create(model="gpt-4o", messages=HELLO, max_retries=0)
        began = loop.time()
        await copied.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert (loop.time() - began > 1) == shared
        assert (copied.rate_limits == client.rate_limits) == shared


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (one, one, True),
        (one, two, False),
        (VAULT, VAULT, True),
        (VAULT, Vault(), False),
        (VAULT.key, VAULT.key, True),
        (VAULT.key, Vault().key, False),
    ],
)
async def test_a_function_that_gives_keys_is_one_account(
    server: LocalServer, first: Any, second: Any, shared: bool
) -> None:
    async with AsyncClient(
        base_url=server.url, api_key=first, retry=RetryPolicy(budget=5)
    ) as client:
        server.script(Failure(500), times=10)
        await refused_twice(client)
        await refused_twice(client.with_options(api_key=second))
        assert 10 - server.pending == (3 if shared else 4)


async def test_an_account_is_remembered_after_its_last_client_is_deleted(
    server: LocalServer,
) -> None:
    async with AsyncClient(base_url=server.url, api_key="k", retry=RetryPolicy(budget=5)) as client:
        server.script(Failure(500), times=10)
        for _ in range(2):
            await refused_twice(client.with_options(api_key="tenant"))
        assert 10 - server.pending == 3


def test_of_any_number_of_accounts_the_latest_are_remembered() -> None:
    made: ByAccount[list[int], int] = ByAccount(lambda option: [option], 1)
    often = made.of("often")
    for n in range(20 * GENERATION):
        made.of(n)
        assert made.of("often") is often
    assert len(made._younger) + len(made._older) <= 2 * GENERATION
    assert made.of(20 * GENERATION - 1) is made.of(20 * GENERATION - 1)
