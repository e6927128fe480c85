"""Reads of 64 KiB instead of asyncio's 256.

Before each read, asyncio allocates memory for all that it could receive, and afterwards returns
most of it. glibc maps blocks of 128 KiB or more into the process and unmaps them again, until a
block of that size has once been freed whole. That takes 15 us: a third of what a streamed token
costs. With TLS, asyncio also keeps a buffer of 256 KiB for each connection.
"""

from __future__ import annotations

from typing import Any

READ_SIZE = 64 * 1024
"""Bytes. aiohttp pauses a connection that has twice as much unread data."""


def bound_reads(transport: Any) -> None:
    """Make a transport of asyncio's own read less at a time; leave all others as they are."""
    tls: Any = getattr(transport, "_ssl_protocol", None)
    for reader in (transport, tls):
        if reader is not None and getattr(reader, "max_size", 0) > READ_SIZE:
            reader.max_size = READ_SIZE
    if tls is not None and isinstance(getattr(tls, "_ssl_buffer", None), bytearray):
        # `get_buffer` replaces a buffer that is too small with one of `max_size`.
        tls._ssl_buffer = bytearray()
