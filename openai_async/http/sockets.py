"""Sockets with TCP keep-alive: while a server works on an answer, nothing is sent for minutes.

Routers drop idle connections (AWS after 350 seconds, Azure after 240, home routers perhaps sooner),
and the answer then never arrives. Keep-alive probes prevent that.
"""

from __future__ import annotations

import socket

from aiohttp import AddrInfoType

# Idle seconds before the first probe, and between probes: well below the limits of routers. The
# default on Linux is two hours.
IDLE = 60
INTERVAL = 60
# After this many unanswered probes the connection is lost, which tolerates a network outage of 5
# minutes. How long a server may take to answer is up to `Timeout`.
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
        if (option := getattr(socket, name, None)) is not None:  # each platform has some of these
            opened.setsockopt(socket.IPPROTO_TCP, option, value)
    return opened
