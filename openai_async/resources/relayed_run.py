"""What a run of tools and a turn of a conversation share: both can be relayed to a browser."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Self

from .._submodules import LazyModule
from ..errors import InvalidArgumentError
from ..relay import KEEP_ALIVE

if TYPE_CHECKING:
    from ..relay import steps
    from ..relay.forms import PageFormName
    from ..relay.relay import Relay
    from ..types.chat_chunk import ChatCompletionChunk
    from ..types.chat_common import CompletionUsage
    from ..types.think_tags import ThinkTagsOption
    from ..types.tool_steps import ToolStep
else:  # few programs relay
    steps = LazyModule("openai_async.relay.steps")


class RelayedRun(ABC):
    """Several answers, and between them the calls that the app runs."""

    __slots__ = ()

    def sse(
        self,
        *,
        form: PageFormName = "text",
        keep_alive: float | None = KEEP_ALIVE,
        think_tags: ThinkTagsOption = False,
    ) -> Relay:
        """All of it as server-sent events for a browser, with the calls and the results of tools;
        see `ChatCompletionStream.sse`. A turn that is relayed to its end is added to the history.

        Raises:
            InvalidArgumentError: it has begun, or the form has no events for tools.
        """
        self._check_relayable()
        return steps.relay_run(self, form, keep_alive, think_tags)

    def _check_relayable(self) -> None:
        """
        Raises:
            InvalidArgumentError: it has begun.
        """
        if self._has_begun():
            msg = f"This {self._what} has already begun: relay a new one."
            raise InvalidArgumentError(msg)

    _what: str
    """What messages call it."""

    @abstractmethod
    def _has_begun(self) -> bool:
        """Whether it was read or left."""

    @abstractmethod
    def _all_steps(self) -> AsyncGenerator[ChatCompletionChunk | ToolStep[Any], None]:
        """See `relay.steps.Run`."""

    @abstractmethod
    def _usage(self) -> CompletionUsage | None:
        """The tokens of all answers."""

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(self, *exc: object) -> None: ...
