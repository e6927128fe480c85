"""Pacing: requests wait for their turn on the client, so that the server need not refuse them.

`Pacing`, the middleware, is in `lanes`; the arithmetic, without I/O, in `pace` and `bucket`.
"""

from .lanes import Pacing
from .token_estimate import estimate_tokens

__all__ = ["Pacing", "estimate_tokens"]
