"""The forms in which an answer can be relayed, by name; except `"raw"`, which is not parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from .._submodules import LazyModule
from ..errors import InvalidArgumentError
from ..types.think_tags import ThinkTagsOption
from .form import Chunks, Form

if TYPE_CHECKING:
    from . import text, ui
    from .page_form import PageForm
else:  # most apps use only one of them
    text = LazyModule("openai_async.relay.text")
    ui = LazyModule("openai_async.relay.ui")

SSEForm = Literal["chunks", "text", "ui"]
PageFormName = Literal["text", "ui"]


def form_of(
    name: object, *, chat: bool, n: int = 1, think_tags: ThinkTagsOption = False
) -> Form[Any]:
    """A new form, by its name. `chat` says whether it is for a chat completion, and `n` how many
    choices were requested.

    Raises:
        InvalidArgumentError: there is no such form, this stream does not have it, or it does not
            take `think_tags`.
    """
    check_splits(name, think_tags)
    if name == "chunks":
        return Chunks()
    if name not in ("text", "ui"):
        msg = f'form is {name!r}: pass "chunks", "text", "ui" or "raw".'
        raise InvalidArgumentError(msg)
    if not chat:
        msg = f'form={name!r} is for chat completions: pass "chunks" or "raw" for this stream.'
        raise InvalidArgumentError(msg)
    return page_form_of(name, n, think_tags)


def page_form_of(name: object, n: int = 1, think_tags: ThinkTagsOption = False) -> PageForm:
    """A new form for a page, by its name, which must be one of `PageFormName`."""
    return text.Text(n, think_tags) if name == "text" else ui.UI(n, think_tags)


def check_splits(name: object, think_tags: object) -> None:
    """
    Raises:
        InvalidArgumentError: `think_tags` is set, but the form does not split texts.
    """
    if think_tags and name in ("chunks", "raw"):
        msg = f'form={name!r} does not take think_tags: pass form="text" or form="ui".'
        raise InvalidArgumentError(msg)
