"""The sockets of a client: TCP asks now and then whether the other end is still there.

An answer that takes minutes is minutes of silence on the wire, and routers with network address
translation forget connections that are silent for as little as five minutes. The answer then never
comes, and nobody is told.
"""

from __future__ import annotations

import socket
from typing import Any

# Seconds of silence before the first probe, and between two: well below the 350 s after which the
# NAT gateways of clouds forget a connection.
KEEPALIVE_IDLE = 60
KEEPALIVE_INTERVAL = 60
# Probes without an answer after which the connection is lost.
KEEPALIVE_COUNT = 5

_OPTIONS = {
    "TCP_KEEPIDLE": KEEPALIVE_IDLE,
    "TCP_KEEPALIVE": KEEPALIVE_IDLE,  # its name on macOS
    "TCP_KEEPINTVL": KEEPALIVE_INTERVAL,
    "TCP_KEEPCNT": KEEPALIVE_COUNT,
}


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an address as `socket.getaddrinfo` gives it, with TCP keep-alive on."""
    family, kind, protocol, *_ = address
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _OPTIONS.items():
            if (option := getattr(socket, name, None)) is not None:
                opened.setsockopt(socket.IPPROTO_TCP, option, value)
    except BaseException:
        opened.close()
        raise
    return opened
