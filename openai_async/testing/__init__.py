"""For testing your own programs: a server with real answers and scripted failures, and mocks.

Names are imported on first use: pytest loads this package in every run, for `pytest_plugin`.
`aioresponses` needs the extra `openai_async[testing]`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .limits import ServerLimits
    from .mocks import aioresponses as aioresponses
    from .models import DEFAULT_MODELS
    from .recording import RecordedRequest
    from .script import Failure, Reply
    from .server import LocalServer

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
    _HOMES = {
        "DEFAULT_MODELS": "models",
        "Failure": "script",
        "LocalServer": "server",
        "RecordedRequest": "recording",
        "Reply": "script",
        "ServerLimits": "limits",
        "aioresponses": "mocks",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        try:
            module = import_module(f".{_HOMES[name]}", __name__)
        except ModuleNotFoundError as error:
            if error.name != "aioresponses":
                raise
            msg = 'aioresponses is not installed: pip install "openai_async[testing]".'
            raise ImportError(msg) from error
        globals()[name] = value = getattr(module, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
