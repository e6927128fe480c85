"""`OPENAI_LOG=info` or `debug`: shows the log, in programs that set up no logging."""

from __future__ import annotations

import logging
import warnings

_LEVELS = {"info": logging.INFO, "debug": logging.DEBUG}


def show_log(level: str) -> None:
    """Write the log to stderr, unless the program has handlers for it."""
    number = _LEVELS.get(level.strip().lower())
    if number is None:
        msg = f"OPENAI_LOG is {level!r}: set it to info or debug. Nothing is logged."
        warnings.warn(msg, UserWarning, stacklevel=2)
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    log = logging.getLogger("openai_async")

    def alone(record: logging.LogRecord) -> bool:
        others = {*log.handlers, *(logging.getLogger().handlers if log.propagate else ())}
        return all(other is handler or isinstance(other, logging.NullHandler) for other in others)

    handler.addFilter(alone)
    log.addHandler(handler)
    log.setLevel(number)
