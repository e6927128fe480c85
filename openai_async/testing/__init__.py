"""For testing your own programs: a server with real answers and scripted failures, and mocks.

`aioresponses` is imported on first use: it needs the extra `openai_async[testing]`.
"""

from typing import TYPE_CHECKING

from .limits import ServerLimits
from .models import DEFAULT_MODELS
from .recording import RecordedRequest
from .script import Failure, Reply
from .server import LocalServer

if TYPE_CHECKING:
    from .mocks import aioresponses as aioresponses

# Without `aioresponses`, which may not be installed: `import *` would fail.
__all__ = [
    "DEFAULT_MODELS",
    "Failure",
    "LocalServer",
    "RecordedRequest",
    "Reply",
    "ServerLimits",
]

if not TYPE_CHECKING:  # else a type checker would accept any name, because of `__getattr__`

    def __getattr__(name: str) -> object:
        if name != "aioresponses":
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        try:
            from .mocks import aioresponses
        except ModuleNotFoundError as error:
            msg = 'aioresponses is not installed: pip install "openai_async[testing]".'
            raise ImportError(msg) from error
        return aioresponses
