"""Pacing: requests wait for their turn in the client, so that the server need not reject them.

`Pacing` is the middleware of a client (local.py). `PacingMiddleware` and `ModelLimiter` (base.py)
are for limits that more than one process shares. The arithmetic, without I/O, is `Pace`.
"""

from .base import ModelLimiter, PacingMiddleware, Params
from .local import Pacing
from .pace import Outcome, Pace, Reservation
from .token_estimate import estimate_tokens, estimator

__all__ = [
    "ModelLimiter",
    "Outcome",
    "Pace",
    "Pacing",
    "PacingMiddleware",
    "Params",
    "Reservation",
    "estimate_tokens",
    "estimator",
]
