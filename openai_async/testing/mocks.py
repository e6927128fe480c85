"""`aioresponses`, which mocks responses without a server, patched for current aiohttp.

aiohttp 3.14 requires a `stream_writer` for each response, which aioresponses 0.7.9 does not pass
(https://github.com/pnuckowski/aioresponses/issues/289): every mocked call raises a `TypeError`.
"""

from __future__ import annotations

import inspect
from typing import Any, Self
from unittest.mock import Mock, patch

import aioresponses as original
from aiohttp import ClientResponse


class _Response(ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


class aioresponses(original.aioresponses):  # noqa: N801 - the name that tests use
    """Canned responses by URL for any `aiohttp.ClientSession`; nothing is sent.

    Retries, timeouts and errors are the client's own: each attempt takes the next response.

    Example::

        with aioresponses() as mocked:
            mocked.get("https://api.openai.com/v1/models", payload={"data": [{"id": "gpt-4o"}]})
            models = await client.models.list()

    See https://github.com/pnuckowski/aioresponses for everything it can do.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._patch = patch("aioresponses.core.ClientResponse", _Response)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def start(self) -> None:
        """Start mocking; `with` does this."""
        self._patch.start()
        super().start()

    def stop(self) -> None:
        """Stop mocking: requests are sent again."""
        super().stop()
        self._patch.stop()
