"""The body of a response that is open, before it is decided who reads it."""

from __future__ import annotations

import time

from ..http.body import ByteStream
from ..http.request import Request, Response
from ..middleware import Send
from ..streaming.binary import BinaryContent
from .raw_responses import OnOpen


class UnreadContent(BinaryContent):
    """The body of a response, for the first method that reads it."""

    __slots__ = ("response",)

    def __init__(self, request: Request, send: Send) -> None:
        async def connect(on_open: OnOpen) -> Response:
            request.stream, request.on_open = True, on_open
            self.response = await send(request)
            return self.response

        super().__init__(connect)

    async def _begin(self, response: Response) -> None:
        self._close()  # the previous attempt
        self._body, self._response = response.stream, response

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        if self._pieces == 1:
            self.begun()
        return data

    def begun(self) -> None:
        """The first bytes of the body have arrived: `elapsed` ends here, not at the headers."""
        self.response.elapsed = time.perf_counter() - self.response.started

    def hand_over(self) -> ByteStream | None:
        """The body, for another reader, who also closes it."""
        body, self._body = self._body, None
        return body
