"""A streamed answer as bytes for a browser: what `stream.sse()` returns, and `openai_async.web`
sends.

`form`, `text` and `ui` turn chunks into events, `failures` decides what a browser may know about an
error, and `relay` reads the answer while earlier bytes are still being sent.
"""

KEEP_ALIVE = 5.0
"""Seconds of silence after which a comment is sent: well below the timeouts of common proxies."""
