"""An OpenAI-compatible server to test your own programs with: real answers, scripted failures."""

from .limits import ServerLimits
from .recording import RecordedRequest
from .script import Failure, Reply
from .server import LocalServer

__all__ = ["Failure", "LocalServer", "RecordedRequest", "Reply", "ServerLimits"]
