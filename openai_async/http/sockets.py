"""Sockets with TCP keep-alive: an answer may take minutes, in which nothing is sent either way.

Routers on the way drop a connection that is silent (AWS and Azure after 350 and 240 seconds, and a
home router perhaps sooner), and then the answer never arrives. Keep-alive probes prevent that.
"""

from __future__ import annotations

import socket

from aiohttp import AddrInfoType

# Seconds of silence before the first probe, and between two: well below what routers wait. By
# default Linux waits for two hours.
IDLE = 60
INTERVAL = 60
# Unanswered probes before the connection counts as lost. How long a server may take to answer is
# for `Timeout` to decide: the probes tolerate a network outage of 5 minutes.
COUNT = 5

_OPTIONS = {
    "TCP_KEEPIDLE": IDLE,  # Linux, Windows
    "TCP_KEEPALIVE": IDLE,  # macOS
    "TCP_KEEPINTVL": INTERVAL,
    "TCP_KEEPCNT": COUNT,
}


def open_socket(address: AddrInfoType) -> socket.socket:
    """A socket for this address, not yet connected."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS.items():
        if (option := getattr(socket, name, None)) is not None:  # each system has some of them
            opened.setsockopt(socket.IPPROTO_TCP, option, value)
    return opened
