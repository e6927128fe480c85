"""TCP keep-alive, measured on the socket."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from openai_async import AsyncClient
from openai_async.sockets import KEEPALIVE_COUNT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, open_socket

from .raw_server import Exchange, RawServer

pytestmark = pytest.mark.virtual_time


async def test_connections_ask_now_and_then_whether_the_other_end_is_there(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.whole(b'{"data": []}')

    raw.answer = answer
    await raw_client.models.list()
    [pool] = raw_client._transport._pools._pools.values()
    connector: Any = pool.session.connector
    [[(protocol, _)]] = connector._conns.values()
    opened = protocol.transport.get_extra_info("socket")
    assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_COUNT),
    ):
        if hasattr(socket, option):
            assert opened.getsockopt(socket.IPPROTO_TCP, getattr(socket, option)) == value


def test_a_socket_that_cannot_be_set_up_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Refusing(socket.socket):
        def setsockopt(self, *args: Any) -> None:
            made.append(self)
            raise OSError("no")

    monkeypatch.setattr("openai_async.sockets.socket.socket", Refusing)
    with pytest.raises(OSError, match="no"):
        open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9)))
    assert made[0].fileno() == -1
