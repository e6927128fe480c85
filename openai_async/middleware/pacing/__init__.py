"""Pacing: requests wait for their turn on the client, so that the server need not refuse them.

`Pacing`, the middleware, is in `lanes`; the arithmetic, without I/O, in `pace` and `bucket`.
"""

from .lanes import Pacing

__all__ = ["Pacing"]
