"""Reports the end of an opened stream, once, to those who asked for it: pacing, hooks, the log.

If anybody has asked, the stream holds its response until then; see `Response.on_stream_end`.
"""

from __future__ import annotations

import logging
import time

from ..http.body import running_loop
from ..http.request import Response
from ..types.stream_end import StreamEnd
from .answer import Answer

log = logging.getLogger("openai_async")


def tell_end(
    response: Response,
    answer: Answer | None,
    *,
    complete: bool,
    error: BaseException | None,
    chunks: int,
) -> None:
    """Call the callbacks in the stream's loop, or right here if that is not running."""
    body = response.stream
    if body is None or not body.on_end:
        return
    callbacks, body.on_end = body.on_end, None
    end = StreamEnd(
        answer,
        response.meta,
        complete=complete,
        error=error,
        elapsed=time.perf_counter() - response.started,
        bytes=body.size,
        chunks=chunks,
    )

    def call() -> None:
        while callbacks:
            try:
                callbacks.pop(0)(end)
            except Exception:  # there may be no caller: this may run in a destructor
                log.exception("A callback for the end of a stream failed.")
            except BaseException:  # Ctrl-C or `pytest.fail`: still call the others
                call()
                raise

    loop = body.loop
    if running_loop() is loop or not loop.is_running():
        call()
        return
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # closed just now
        call()
